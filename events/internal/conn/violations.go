package conn

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// maxViolations is how many permissions violations are remembered. There are fewer subjects, except for inboxes.
const maxViolations = 64

// violations are the permissions violations that the server reported on this connection. It answers a forbidden request with an
// error beside it, so that the request itself only times out.
type violations struct {
	mu      sync.Mutex
	seen    []string // each once
	ignore  map[string]func(error) bool
	waiting map[*waiting]struct{}
}

// waiting is a request that ends early if the server refuses it.
type waiting struct {
	subject string
	refuse  func()
}

// Ignore keeps violations that revoker can do without out of the log: those for which concerned returns true. about names the
// reason; a second call with the same name replaces the first.
func (c *Conn) Ignore(about string, concerned func(violation error) bool) {
	c.violations.mu.Lock()
	defer c.violations.mu.Unlock()
	if c.violations.ignore == nil {
		c.violations.ignore = map[string]func(error) bool{}
	}
	c.violations.ignore[about] = concerned
}

// IgnoreSubjects is Ignore for all subjects that begin with prefix.
func (c *Conn) IgnoreSubjects(prefix string) {
	c.Ignore(prefix, func(violation error) bool { return violatesPrefix(violation, prefix) })
}

// Violates reports whether a permissions violation is about this very subject, which the server quotes.
func Violates(err error, subject string) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}

func violatesPrefix(violation error, prefix string) bool {
	return strings.Contains(violation.Error(), `"`+prefix)
}

// ViolationHas reports whether part is in a violation that the server reported. A violation has its subject in quotation marks.
func (c *Conn) ViolationHas(part string) bool {
	c.violations.mu.Lock()
	defer c.violations.mu.Unlock()
	return slices.ContainsFunc(c.violations.seen, func(violation string) bool { return strings.Contains(violation, part) })
}

// refuse ends the requests that a violation is about.
func (v *violations) refuse(violation error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for w := range v.waiting {
		if Violates(violation, w.subject) {
			w.refuse()
		}
	}
}

// ignored reports whether a violation is one to be ignored.
func (v *violations) ignored(violation error) bool {
	v.mu.Lock()
	hooks := slices.Collect(maps.Values(v.ignore))
	v.mu.Unlock()
	return slices.ContainsFunc(hooks, func(concerned func(error) bool) bool { return concerned(violation) })
}

// note remembers a violation. It reports whether it is a new one.
func (v *violations) note(violation error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if slices.Contains(v.seen, violation.Error()) {
		return false
	}
	if len(v.seen) == maxViolations {
		v.seen = slices.Delete(v.seen, 0, 1)
	}
	v.seen = append(v.seen, violation.Error())
	return true
}

func (v *violations) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen = nil
}

// await calls refuse if a publication to subject is refused, until stop is called.
func (v *violations) await(subject string, refuse func()) (stop func()) {
	w := &waiting{subject, refuse}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.waiting == nil {
		v.waiting = map[*waiting]struct{}{}
	}
	v.waiting[w] = struct{}{}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.waiting, w)
	}
}
