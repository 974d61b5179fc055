package events

import "fmt"

// Difference is a setting in which a stream or consumer is not what revoker would create.
type Difference struct {
	Setting string `json:"setting"`
	Present string `json:"present"`
	Wanted  string `json:"wanted"`
	// Why says what follows from it; empty where nothing does.
	Why string `json:"why,omitempty"`
	// Fault tells that it breaks revoker's promise, so that `revoker run` refuses to start.
	Fault bool `json:"fault"`
	// Remedy is what to do where it can't be changed in place; empty where it can.
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

// difference also knows how to mend a configuration of type C; mend is nil where that can't be done in place.
type difference[C any] struct {
	Difference
	mend func(*C)
}

// differences collects those that are there.
type differences[C any] []difference[C]

// changeable adds a difference that can be mended in place, without any message being deleted or skipped.
func (l *differences[C]) changeable(there bool, d Difference, mend func(*C)) {
	if there {
		*l = append(*l, difference[C]{d, mend})
	}
}

// fixed adds a difference that the server can't change, or that can't be changed without deleting or skipping messages.
func (l *differences[C]) fixed(there bool, d Difference, remedy string) {
	if there {
		d.Remedy = remedy
		*l = append(*l, difference[C]{d, nil})
	}
}

// facts are the differences without their mending; faults alone, or the others alone.
func (l differences[C]) facts(faults bool) []string {
	var list []string
	for _, d := range l {
		if d.Fault == faults {
			list = append(list, d.String())
		}
	}
	return list
}
