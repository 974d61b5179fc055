package chaos

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/worker/authlete/sim"
)

// canaryInterval is between two events that come while the rest is settled. One in flight must not hide that nothing else is left.
const canaryInterval = 200 * time.Millisecond

// settle ends the sources after the last fault, and waits until nothing is left. Some events go on coming: a session is condemned only
// while the API works for others.
func (c *chaos) settle() {
	ended := time.Now()
	close(c.ending)
	c.running.Wait()
	c.t.Logf("%s the sources ended %v after the last fault", clock(), time.Since(ended).Round(time.Millisecond))
	began, sent := time.Now(), time.Time{}
	c.await("the last fault", "an event is not settled", func(context.Context) bool {
		if c.left() == "" {
			return true
		}
		if time.Since(sent) > canaryInterval {
			c.send(canary(c.sources.canaries.Add(1)-1), false)
			sent = time.Now()
		}
		return false
	})
	c.t.Logf("%s all was settled %v later", clock(), time.Since(began).Round(time.Millisecond))
	for _, w := range c.workers {
		w.end(syscall.SIGTERM, 0)
	}
	c.receiver.end(syscall.SIGTERM, 0)
	close(c.ended)
	c.watched.Wait()
}

// left says what is not settled; "" if nothing is.
func (c *chaos) left() string {
	ctx, cancel := request()
	defer cancel()
	for _, name := range []string{"revoker", "revoker-bulk"} {
		consumer, err := c.JS.Consumer(ctx, "SESSIONS", name)
		if err != nil {
			return err.Error()
		}
		if info := consumer.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			return fmt.Sprintf("%d events pending and %d in work of %s", info.NumPending, info.NumAckPending, name)
		}
	}
	stream, err := c.JS.Stream(ctx, "SESSIONS")
	if err != nil {
		return err.Error()
	}
	if n := stream.CachedInfo().State.Msgs; n > 0 {
		return fmt.Sprintf("%d events in the stream", n)
	}
	return ""
}

// tally is what became of all sessions.
type tally struct {
	sessions  int
	condemned map[string]int // by reason
	receipts  int
	calls     int
	extra     int // beyond those that would have been made without a fault
	most      int // calls of one session
}

// check holds the outcome against the promise, from the outside.
func (c *chaos) check() {
	c.eventually("reading the dead letters", func(context.Context) error { return c.readLetters() })
	seen, receipts := c.Sessions(), c.allReceipts()
	t := tally{condemned: map[string]int{}, receipts: len(receipts)}
	for n := range c.sources.numbers.Load() {
		c.checkSession(&t, session(n), seen, receipts)
	}
	for n := range c.sources.canaries.Load() {
		c.checkSession(&t, canary(n), seen, receipts)
	}
	c.tally = t
	if len(receipts) > t.sessions-t.condemned["CALLER_ERROR"]-t.condemned["RETRIES_EXHAUSTED"] {
		c.violation("there are %d receipts of %d sessions", len(receipts), t.sessions)
	}
	if accepted := c.sources.signals.Load() + c.sources.rows.Load(); accepted != c.sources.numbers.Load() {
		c.violation("%d events were accepted of %d", accepted, c.sources.numbers.Load())
	}
	// At a fault's begin so many calls may be in flight, and each event of them may be called once more.
	injected := 1
	for _, f := range c.faults {
		injected += len(f.kinds)
	}
	if most := injected * len(c.workers) * slots; t.extra > most {
		c.violation("%d further calls were made in %d faults, want at most %d", t.extra, injected-1, most)
	}
	early, late := c.flat()
	// Each call in flight has a connection with three goroutines, so that these follow the load.
	if late.resident > 1.3*early.resident+15 || late.goroutines > early.goroutines+4*slots || late.files > early.files+2*slots {
		c.violation("the first worker took %s, and %s at the end", early, late)
	}
}

// checkSession holds what became of one session against what it wants.
func (c *chaos) checkSession(t *tally, id string, seen map[string]sim.Session, receipts map[string]bool) {
	s, want := seen[id], c.wanted(id)
	t.sessions++
	if want != "" {
		t.condemned[want]++
	}
	if got := c.watch.letters[id]; got != want || s.Revoked() != (want == "") {
		c.violation("%s: revoked %v, dead letter %q, want %q, %d calls", number(id), s.Revoked(), got, want, len(s.Calls))
	}
	if receipts[receiptSubject(id)] != (want == "") {
		c.violation("%s: a receipt %v, revoked %v", number(id), receipts[receiptSubject(id)], s.Revoked())
	}
	t.calls += len(s.Calls)
	expected := 1
	switch {
	case c.Sim.Hopeless(id):
		return // it is called until the API works for others
	case c.Sim.Kind(id) == sim.ServerError:
		expected = attempts
	}
	if extra := len(s.Calls) - expected; extra > 0 {
		t.extra += extra
		t.most = max(t.most, extra)
		for _, call := range s.Calls[:extra] {
			if f := c.faultAt(call.Began); f != nil {
				f.calls++
			}
		}
	}
}

// faultAt is the last fault that began by then, or nil.
func (c *chaos) faultAt(moment time.Time) *fault {
	n, _ := slices.BinarySearchFunc(c.faults, moment, func(f *fault, moment time.Time) int { return f.began.Compare(moment) })
	if n == 0 {
		return nil
	}
	return c.faults[n-1]
}

// allReceipts are the subjects of all receipts.
func (c *chaos) allReceipts() map[string]bool {
	found := map[string]bool{}
	c.eventually("reading the receipts", func(context.Context) error {
		clear(found)
		ctx, cancel := context.WithTimeout(context.Background(), giveUp)
		defer cancel()
		stream, err := c.JS.Stream(ctx, "SESSIONS_REVOKED")
		if err != nil {
			return err
		}
		state := stream.CachedInfo().State
		consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
		if err != nil {
			return err
		}
		messages, err := consumer.Messages()
		if err != nil {
			return err
		}
		defer messages.Stop()
		for range state.Msgs {
			msg, err := messages.Next()
			if err != nil {
				return err
			}
			found[msg.Subject()] = true
		}
		return nil
	})
	return found
}

// report prints the results as a row of worker/RELIABILITY.md, and the worst recovery of each kind of fault.
func (c *chaos) report() {
	t, kinds := c.tally, map[string][]*fault{}
	for _, f := range c.faults {
		for _, name := range f.kinds {
			kinds[name] = append(kinds[name], f)
		}
	}
	early, late := c.flat()
	violations := "0"
	if c.t.Failed() {
		violations = "see above"
	}
	c.t.Logf("seed %d, %v: %d events (%d signals, %d rows, %d canaries), %d faults of %d kinds, violations: %s\n%d revoked, %d receipts, dead letters %v\n%.3f calls an event, %d beyond those without a fault, at most %d of one session\n%d tries of sources were not accepted\nfirst worker: %s; at the end %s; most of any worker %s; %d scrapes failed",
		*seed, *duration, t.sessions, c.sources.signals.Load(), c.sources.rows.Load(), c.sources.canaries.Load(), len(c.faults), len(kinds), violations,
		t.sessions-t.condemned["CALLER_ERROR"]-t.condemned["RETRIES_EXHAUSTED"], t.receipts, t.condemned, float64(t.calls)/float64(t.sessions), t.extra, t.most, c.sources.refused.Load(),
		early, late, c.watch.mostUse, c.watch.unscraped)
	var table strings.Builder
	fmt.Fprintln(&table, "| fault | times | a new event is revoked after: median, worst | all older ones are settled after: median, worst | further calls: median, worst |\n|---|---|---|---|---|")
	for _, k := range c.kinds() {
		if faults := kinds[k.name]; len(faults) > 0 {
			fmt.Fprintf(&table, "| %s | %d | %s | %s | %s |\n", k.name, len(faults), medianAndWorst(faults, "%.1f s", func(f *fault) float64 { return f.recovery.Seconds() }),
				medianAndWorst(faults, "%.1f s", func(f *fault) float64 { return f.settled.Seconds() }), medianAndWorst(faults, "%.0f", func(f *fault) float64 { return float64(f.calls) }))
		}
	}
	c.t.Log("\n" + table.String())
}

func medianAndWorst(faults []*fault, format string, of func(*fault) float64) string {
	var all []float64
	for _, f := range faults {
		all = append(all, of(f))
	}
	slices.Sort(all)
	return fmt.Sprintf(format+", "+format, all[len(all)/2], all[len(all)-1])
}
