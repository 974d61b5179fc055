package events

import "fmt"

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
	text := fmt.Sprintf("%s is %s, not %s", d.Setting, d.Present, d.Wanted)
	if d.Why != "" {
		text += ": " + d.Why
	}
	return text
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

// facts describes either the faults or the other differences.
func (l differences[C]) facts(faults bool) []string {
	var list []string
	for _, d := range l {
		if d.Fault == faults {
			list = append(list, d.String())
		}
	}
	return list
}
