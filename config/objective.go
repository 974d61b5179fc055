package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// The range of an objective. Below 90% the alerts on it would hardly fire, because they wait for up to 14.4 times its budget, and no
// more than all sessions can miss it. At 100% there would be no budget to spend. An event that says its session ended more than a day before is not believed.
const (
	minPercent, maxPercent = 90, 99.999
	minWithin, maxWithin   = 10 * time.Millisecond, 24 * time.Hour
)

// Objective is how many sessions must be revoked how soon.
type Objective struct {
	// Percent of the sessions, from 90 to 99.999.
	Percent float64
	// Within is the time from a session's end to its revocation, from 10 ms to 24 h.
	Within time.Duration
}

// UnmarshalText reads a text such as "99% within 5s"; envconfig calls it.
func (o *Objective) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) != 3 || words[1] != "within" {
		return errObjective
	}
	number, isPercent := strings.CutSuffix(words[0], "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !isPercent || err != nil || math.IsNaN(percent) {
		return errObjective
	}
	within, err := time.ParseDuration(words[2])
	if err != nil {
		return errObjective
	}
	*o = Objective{percent, within}
	return nil
}

var errObjective = errors.New("not an objective")

// String is the text that [Objective.UnmarshalText] reads.
func (o Objective) String() string {
	within := o.Within.String()
	for _, zeros := range []string{"m0s", "h0m"} { // 1h0m0s
		if strings.HasSuffix(within, zeros) {
			within = within[:len(within)-2]
		}
	}
	return strconv.FormatFloat(o.Percent, 'f', -1, 64) + "% within " + within
}

// Ratio is the share of the sessions that must be revoked in time, from 0 to 1.
func (o Objective) Ratio() float64 { return o.Percent / 100 }

// Met reports whether a session that was revoked after the time was revoked soon enough.
func (o Objective) Met(after time.Duration) bool { return after <= o.Within }

func (o Objective) valid() bool {
	return between(o.Percent, minPercent, maxPercent) && between(o.Within, minWithin, maxWithin)
}
