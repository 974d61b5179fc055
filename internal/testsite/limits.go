package testsite

import "revoker/events/peer"

// Limits are states of a worker, by what must be said of the limit of its calls: by `revoker status`, and by the console page.
func Limits() map[string]peer.State {
	return map[string]peer.State{
		"REVOKER_CONCURRENCY":               {LimitedBy: "concurrency"},
		"no load has asked for more yet":    {LimitedBy: "start"},
		"more would queue at the API":       {LimitedBy: "latency"},
		"calls time out or are turned away": {LimitedBy: "failures"},
		"the circuit breaker":               {LimitedBy: "breaker"},
		"the API allows 985 calls/s":        {LimitedBy: "rate", Rate: 984.6},
		"the API allows 0.25 calls/s":       {LimitedBy: "rate", Rate: 0.25},
		"something-new":                     {LimitedBy: "something-new"}, // a worker of a later version
	}
}
