package peer

import (
	"crypto/rand"
	"os"
	"time"

	"revoker/config"
)

// Identity tells a worker from all others.
type Identity struct {
	// Instance is random and of this process alone: several workers may run on one host.
	Instance string
	// Name is the host's; it may be empty.
	Name    string
	Version string
	Started time.Time
}

// NewIdentity returns that of a worker that starts now.
func NewIdentity(version string) Identity {
	host, _ := os.Hostname() // it may have none
	return Identity{Instance: rand.Text(), Name: host, Version: version, Started: time.Now()}
}

// Sign tells in a state whose it is.
func (i Identity) Sign(s State) State {
	s.Instance, s.Name, s.Version, s.Started = i.Instance, i.Name, i.Version, i.Started
	return s
}

// State is what a worker answers over NATS when it is asked for its state.
type State struct {
	// Instance tells the worker from others on its host. Older workers don't have one; see [State.Key].
	Instance string `json:"instance,omitempty"`
	// Name is the host's, Version the worker's.
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// InFlight is the number of API calls being made. InHand is the number of events that the worker holds, including those.
	InFlight int `json:"inFlight"`
	InHand   int `json:"inHand"`
	// Breaker is the circuit breaker's state, and Reason why it is not closed.
	Breaker string `json:"breaker"`
	Reason  string `json:"reason,omitempty"`
	// Limit is how many calls may be in flight now, and LimitedBy why no more: concurrency, latency, failures, rate, breaker or
	// start. Older workers don't tell.
	Limit     int    `json:"limit,omitempty"`
	LimitedBy string `json:"limitedBy,omitempty"`
	// Rate is how many calls per second the API was found to allow; 0 while no limit was met.
	Rate float64 `json:"rate,omitempty"`
	// Delays tell, by lane, how long the revocations of the last minute took, and LongDelays those of the last 15 minutes.
	Delays     map[config.Lane]LaneDelay `json:"delays,omitempty"`
	LongDelays map[config.Lane]LaneDelay `json:"delays15m,omitempty"`
	// Objective tells how well the live lane met REVOKER_OBJECTIVE lately. It is nil if the worker does not know.
	Objective *Kept `json:"objective,omitempty"`
	// BreakerSince is since when the circuit breaker has not been closed, and NextProbe when it lets the next call through. Both
	// are nil while it is closed. NextProbe is nil too while a probe is out.
	BreakerSince *time.Time `json:"breakerSince,omitempty"`
	NextProbe    *time.Time `json:"nextProbe,omitempty"`
	// Waiting is the number of events that the worker handed back and that are not due yet. It is nil if the worker does not know.
	Waiting *int `json:"waitingForRetry,omitempty"`
	// SettledPerSecond is how many events the worker acknowledged or gave up in a second, lately.
	SettledPerSecond float64 `json:"settledPerSecond,omitempty"`
	// Sources tell of the revocations of the last 15 minutes, by where the events came from.
	Sources []SourceCount `json:"sources,omitempty"`
	// Held are the services whose events are held back because the API refuses them or asks for time.
	Held []HeldService `json:"held,omitempty"`
	// Braked tells that CALLER_ERROR for many sessions in a row holds the other events back.
	Braked bool `json:"braked,omitempty"`
	// Event answers an [About] request: what this worker knows of the event's next attempt. It is nil if it handed no such event back.
	Event *NextAttempt `json:"event,omitempty"`
	// Released answers a [LetGo] request: they were held back until then.
	Released bool `json:"released,omitempty"`
	// History answers a [HistoryOf] request.
	History *History `json:"history,omitempty"`
}

// Key tells this worker from others. An older worker is known by its host and its start.
func (s State) Key() string {
	if s.Instance != "" {
		return s.Instance
	}
	return s.Name + " " + s.Started.UTC().Format(time.RFC3339Nano)
}

// Kept says how many events of the live lane met an objective in the last 15 minutes.
type Kept struct {
	// Target is the objective in words, and Ratio the share of the events that must meet it.
	Target string  `json:"target"`
	Ratio  float64 `json:"ratio"`
	// Met and Missed count those that were settled for good. A dead letter missed it.
	Met    int `json:"met"`
	Missed int `json:"missed"`
}

// Budget is how many of the settled ones may miss it. The objective is not met if more did.
func (k Kept) Budget() float64 { return float64(k.Met+k.Missed) * (1 - k.Ratio) }

// NextAttempt is what a worker knows of an event that it handed back.
type NextAttempt struct {
	// Attempts is how often the event was delivered by then.
	Attempts int `json:"attempts"`
	// Due is when the server delivers it again. After that any worker may have it.
	Due time.Time `json:"due"`
	// Status and ResultCode are those of the API's last answer, if there was one.
	Status     int    `json:"status,omitempty"`
	ResultCode string `json:"resultCode,omitempty"`
}

// LaneDelay says how long sessions of a lane took from their end to their revocation. Where an event does not tell that end, or no
// plausible one, its publication counts.
type LaneDelay struct {
	// Revoked is how many revocations the others are about.
	Revoked int `json:"revoked"`
	// P50 and P99 are in seconds.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// SourceCount counts the revocations of one source of events, see the package events.
type SourceCount struct {
	// Source is a name, "none" for events that name none, or "other" for those beyond the 32 that are told apart.
	Source string `json:"source"`
	// Revoked counts sessions, and Empty those that had no token: if these are most, the source may send wrong IDs.
	Revoked int `json:"revoked"`
	Empty   int `json:"empty"`
}

// HeldService is a service that events name, and why its events are held back.
type HeldService struct {
	Service string    `json:"service"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
}
