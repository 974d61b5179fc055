package admin

// State is how a check ended.
type State string

// The states of a Finding.
const (
	OK      State = "ok"
	Warning State = "warning"
	Failed  State = "failed"
	Skipped State = "skipped" // what it needs failed before
)

// Finding is the result of one check.
type Finding struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	// Remedy is how to fix it; empty if it is ok.
	Remedy string `json:"remedy,omitempty"`
}

// Findings are the results so far.
type Findings []Finding

// Add appends a finding.
func (f *Findings) Add(state State, name, detail, remedy string) {
	*f = append(*f, Finding{Name: name, State: state, Detail: detail, Remedy: remedy})
}

// Count counts the findings in a state.
func (f Findings) Count(state State) (n int) {
	for _, finding := range f {
		if finding.State == state {
			n++
		}
	}
	return n
}
