package main

import (
	"fmt"
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
		text = fmt.Sprintf("published %.0f/s, settled %.0f/s, ", *r.Published, *r.Settled)
	}
	switch r.Outlook {
	case admin.NotKnown:
		return "rates are known after the next refresh"
	case admin.Shrinking:
		return text + "nothing left in " + terminal.Seconds(int(r.ETA.Sub(s.Time).Seconds()+0.5))
	case admin.Growing:
		return text + fmt.Sprintf("growing by %.0f/s", -*r.Shrinking)
	case admin.BreakerOpen:
		return text + "no estimate while the circuit breaker is open"
	}
	return text + string(r.Outlook)
}
