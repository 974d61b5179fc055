package events

import (
	"fmt"
	"strings"
)

// Difference is a setting of a stream or consumer that is not what revoker would create.
type Difference struct {
	Setting string `json:"setting"`
	Present string `json:"present"`
	Wanted  string `json:"wanted"`
	// Why says what follows from it; empty where nothing does.
	Why string `json:"why,omitempty"`
	// Fault tells that it breaks revoker's promise, so that `revoker run` refuses to start.
	Fault bool `json:"fault"`
	// Remedy is what to do if it can't be changed in place; empty if it can.
	Remedy string `json:"remedy,omitempty"`
}

func (d Difference) String() string {
	verb := "is"
	if strings.HasSuffix(d.Setting, "s") {
		verb = "are"
	}
	text := fmt.Sprintf("%s %s %s, not %s", d.Setting, verb, d.Present, d.Wanted)
	if d.Why != "" {
		text += ": " + d.Why
	}
	return text
}

// Advice says what to do about differences, each thing once.
func Advice(list []Difference) string {
	var changes, remedies []string
	settings := map[string][]string{} // by the remedy
	for _, d := range list {
		switch {
		case d.Remedy == "":
			changes = append(changes, d.Setting)
		case settings[d.Remedy] == nil:
			remedies = append(remedies, d.Remedy)
			fallthrough
		default:
			settings[d.Remedy] = append(settings[d.Remedy], d.Setting)
		}
	}
	var advice []string
	if len(changes) > 0 {
		advice = append(advice, "`revoker setup` changes "+strings.Join(changes, ", "))
	}
	for _, remedy := range remedies {
		advice = append(advice, strings.Join(settings[remedy], ", ")+": "+remedy)
	}
	return strings.Join(advice, "; ")
}

func differs(setting string, present, wanted any, why string) Difference {
	return Difference{Setting: setting, Present: fmt.Sprint(present), Wanted: fmt.Sprint(wanted), Why: why}
}

// breaks is a difference that breaks the promise.
func breaks(setting string, present, wanted any, why string) Difference {
	d := differs(setting, present, wanted, why)
	d.Fault = true
	return d
}

// difference also knows how to fix a configuration of type C; fix is nil if that can't be done in place.
type difference[C any] struct {
	Difference
	fix func(*C)
}

// differences collects those that were found.
type differences[C any] []difference[C]

// changeable adds a difference that can be fixed in place, without any message being deleted or skipped.
func (l *differences[C]) changeable(found bool, d Difference, fix func(*C)) {
	if found {
		*l = append(*l, difference[C]{d, fix})
	}
}

// unchangeable adds a difference that the server can't change, or that can't be changed without deleting or skipping messages.
func (l *differences[C]) unchangeable(found bool, d Difference, remedy string) {
	if found {
		d.Remedy = remedy
		*l = append(*l, difference[C]{d, nil})
	}
}

// only returns either the faults or the other differences.
func (l differences[C]) only(faults bool) []Difference {
	var list []Difference
	for _, d := range l {
		if d.Fault == faults {
			list = append(list, d.Difference)
		}
	}
	return list
}

// facts describes differences.
func facts(list []Difference) string {
	var texts []string
	for _, d := range list {
		texts = append(texts, d.String())
	}
	return strings.Join(texts, "; ")
}
