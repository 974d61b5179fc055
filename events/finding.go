package events

import "github.com/nats-io/nats.go"

// State is how a check ended.
type State string

// The states of a Finding.
const (
	OK      State = "ok"
	Warning State = "warning"
	Failed  State = "failed"
	Skipped State = "skipped" // what it needs failed before
)

// Finding is what one check came to.
type Finding struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	// Remedy is how to mend it; empty for what is ok.
	Remedy string `json:"remedy,omitempty"`
}

// Findings are those of a check so far.
type Findings []Finding

// Add appends one.
func (f *Findings) Add(state State, name, detail, remedy string) {
	*f = append(*f, Finding{Name: name, State: state, Detail: detail, Remedy: remedy})
}

// Count is how many are in a state.
func (f Findings) Count(state State) (n int) {
	for _, finding := range f {
		if finding.State == state {
			n++
		}
	}
	return n
}

// ErrAuthorization is wrapped by Connect's error where the server refuses the credentials.
var ErrAuthorization = nats.ErrAuthorization
