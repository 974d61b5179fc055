package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"revoker/cmd/revoker/terminal"
	"revoker/events/admin"
)

// history is the statuses of the last minutes.
type history struct {
	admin.History
	interval time.Duration
	failure  error // of the last try to read the status, if it failed
}

// ratesText says the rates in one line. The status is the last one.
func ratesText(r admin.Rates, s admin.Status) string {
	text := ""
	if r.Published != nil {
		text = fmt.Sprintf("published %s, settled %s, ", perSecond(*r.Published), perSecond(*r.Settled))
	}
	switch r.Outlook {
	case admin.NotKnown:
		return "rates are known after the next refresh"
	case admin.Shrinking:
		return text + "nothing left in " + terminal.Seconds(int(r.ETA.Sub(s.Time).Seconds()+0.5))
	case admin.Growing:
		return text + "growing by " + perSecond(-*r.Shrinking)
	case admin.BreakerOpen:
		return text + "no estimate while the circuit breaker is open"
	}
	return text + string(r.Outlook)
}

// perSecond is a rate for people. A low one has a decimal: one event in three seconds is not none.
func perSecond(rate float64) string {
	if rate < 10 {
		return strconv.FormatFloat(math.Round(rate*10)/10, 'f', -1, 64) + "/s"
	}
	return fmt.Sprintf("%.0f/s", rate)
}
