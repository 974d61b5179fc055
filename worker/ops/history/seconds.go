package history

import (
	"math"
	"time"

	"revoker/worker"
)

const (
	// settledOver is the time over which settledPerSecond takes the mean, in seconds.
	settledOver = 3
	keptSeconds = settledOver + 1 // with the present one
)

// seconds are the last few. The owner of a History guards them.
type seconds [keptSeconds]second // by second modulo its length

type second struct {
	number  int64 // Unix time
	settled int   // for good: a retry is not
	busy    time.Duration
}

func (s *seconds) observe(settlement worker.Settlement, now int64) {
	at := &s[now%keptSeconds]
	if at.number != now {
		*at = second{number: now}
	}
	if settlement.Outcome == worker.Revoked || settlement.Outcome.Reason() != "" {
		at.settled++
	}
	at.busy += settlement.Took
}

// settledPerSecond is how many events were acknowledged or given up in a second, lately.
func (s *seconds) settledPerSecond(now int64) float64 {
	settled := 0
	for _, second := range s {
		if second.number < now && second.number >= now-settledOver {
			settled += second.settled
		}
	}
	return float64(settled) / settledOver
}

// inFlight is how many calls were in flight in the last second that is over, on average.
func (s *seconds) inFlight(now int64) int {
	last := s[(now-1)%keptSeconds]
	if last.number != now-1 {
		return 0
	}
	return int(math.Round(last.busy.Seconds()))
}
