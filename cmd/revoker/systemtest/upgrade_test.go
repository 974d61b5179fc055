//go:build tools

package systemtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// TestUpgradeForwardAndBack rolls a fleet from the version before to this one, back, and forward again, while events are published.
// A worker that takes over works beside the one that it replaces. Once in each direction a worker is killed instead of drained. The
// commands of both versions look after both.
func TestUpgradeForwardAndBack(t *testing.T) {
	t.Parallel()
	u := newUpgrade(t)
	u.grow(u.before)
	u.grow(u.before)
	testproc.WaitFor(t, "both lanes", func() bool {
		_, err := u.JS.Consumer(u.Deadline(), "SESSIONS", "revoker-bulk")
		return err == nil
	})
	stop := u.startPublishing()
	u.roll(u.this, u.before)
	u.roll(u.before, u.this)
	u.roll(u.this, u.before)
	stop()
	u.check()
}

// program is one version of revoker.
type program struct{ name, path string }

// upgrade is a site with two versions of revoker.
type upgrade struct {
	*testsite.Site
	before, this program
	workers      []*testproc.Process // the oldest first
	live         int                 // live events that are stored
	bulk         []int               // bulk events that are stored, by their numbers
	ended        []*testproc.Process // workers
	rolls        int
}

func newUpgrade(t *testing.T) *upgrade {
	t.Helper()
	u := &upgrade{before: program{"before", versionBefore(t)}, this: program{"this", testproc.Binary(t, "revoker")}}
	u.Site = testsite.New(t, testsite.Simulator{Failing: 5, Bad: 1, Cursed: 200, Latency: 3 * time.Millisecond, Jitter: 4 * time.Millisecond})
	u.StartNATS()
	return u
}

// settings are limits so low that many events pass them while workers come and go. Attempts and age alone must not
// condemn them.
func settings() []string {
	return []string{
		"REVOKER_RECEIPTS=true", "REVOKER_ACK_WAIT=2s", "REVOKER_RETRY_MAX_AGE=1s", "REVOKER_RETRY_MAX_INTERVAL=500ms",
		fmt.Sprintf("REVOKER_RETRY_MAX_ATTEMPTS=%d", testsite.Failures+1),
	}
}

// grow adds a worker, and waits until it has revoked a session.
func (u *upgrade) grow(p program) {
	u.T.Helper()
	w := testproc.Start(u.T, u.Env(settings()...), p.path, "run")
	u.workers = append(u.workers, w)
	testproc.WaitFor(u.T, "worker of "+p.name, func() bool {
		if !w.Running() {
			u.T.Fatalf("a worker of %s ended:\n%s", p.name, w.Stderr.String())
		}
		return strings.Contains(w.Stderr.String(), `"msg":"working"`)
	})
}

// shrink ends the oldest worker, once it has revoked a session.
func (u *upgrade) shrink(signal syscall.Signal) {
	u.T.Helper()
	w := u.workers[0]
	testproc.WaitFor(u.T, "revocation by this worker", func() bool { return strings.Contains(w.Stderr.String(), `"outcome":"revoked"`) })
	w.Signal(signal)
	if code := w.Wait(); signal == syscall.SIGTERM && code != 0 {
		u.T.Errorf("exit code %d after SIGTERM:\n%s", code, w.Stderr.Tail())
	}
	u.workers, u.ended = u.workers[1:], append(u.ended, w)
}

// roll replaces the workers of one version by those of another, under load. The commands of both versions are tried on the old
// fleet, on a mixed one and on the new one.
func (u *upgrade) roll(to, from program) {
	u.T.Helper()
	u.rolls++
	u.T.Logf("%s rolling from %s to %s", time.Now().Format("15:04:05.000"), from.name, to.name)
	var done []func()
	for _, p := range []program{from, to} {
		done = append(done, u.startPublish(p))
	}
	u.look(from, to)
	u.grow(to)
	u.shrink(syscall.SIGKILL)
	u.look(to, from)
	u.grow(to)
	u.shrink(syscall.SIGTERM)
	for _, wait := range done {
		wait()
	}
	u.look(from, to)
	u.replay(from)
	u.pause(from, to)
}

// startPublish publishes bulk events by the command of one version, slowly enough to go on while workers are replaced. What it
// returns waits for its end.
func (u *upgrade) startPublish(p program) func() {
	u.T.Helper()
	const n = 300
	first := 1_000_000 + len(u.bulk)
	var ids strings.Builder
	for i := range n {
		fmt.Fprintf(&ids, "SECRET-session-%d\n", first+i)
		u.bulk = append(u.bulk, first+i)
	}
	w := testproc.Start(u.T, []string{"NATS_URL=" + u.NATSURL}, p.path, "publish", "--rate", "100", "--json")
	fmt.Fprint(w.Stdin, ids.String())
	w.Stdin.Close()
	return func() {
		u.T.Helper()
		if code := w.Wait(); code != 0 {
			u.T.Errorf("publish of %s: exit code %d: %s%s", p.name, code, w.Stdout.String(), w.Stderr.String())
		}
	}
}

// startPublishing stores live events until the function that it returns is called. The last one can be revoked: the workers ask the
// API about the newest before they condemn another.
func (u *upgrade) startPublishing() (stop func()) {
	stopped := make(chan struct{})
	var publishing sync.WaitGroup
	publishing.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for ended := false; !ended || u.Sim.Kind(session(u.live-1)) != sim.OK; {
			select {
			case <-stopped:
				ended = true
			case <-ticker.C:
			}
			id := session(u.live)
			if _, err := u.JS.Publish(u.Deadline(), "session.ended", fmt.Appendf(nil, `{"sessionId":%q}`, id), jetstream.WithMsgID(id)); err != nil {
				u.T.Errorf("publishing: %v", err)
				return
			}
			u.live++
		}
	})
	stop = sync.OnceFunc(func() {
		close(stopped)
		publishing.Wait()
	})
	u.T.Cleanup(stop)
	return stop
}

func session(number int) string { return fmt.Sprintf("SECRET-session-%d", number) }

// published are the sessions of all events.
func (u *upgrade) published() (ids []string) {
	for i := range u.live {
		ids = append(ids, session(i))
	}
	for _, i := range u.bulk {
		ids = append(ids, session(i))
	}
	return ids
}

// reason is why a session must be on the dead-letter subject; empty if it must be revoked.
func (u *upgrade) reason(id string) string {
	switch {
	case u.Sim.Hopeless(id):
		return events.ReasonRetriesExhausted
	case u.Sim.Kind(id) == sim.CallerError:
		return events.ReasonCallerError
	}
	return ""
}

// letters are the reasons of the dead letters, by session.
func (u *upgrade) letters() map[string][]string {
	u.T.Helper()
	found := map[string][]string{}
	for payload, reasons := range u.Reasons() {
		event, err := events.Decode(nil, []byte(payload))
		if err != nil {
			u.T.Errorf("a dead letter that is not an event: %v", err)
		}
		found[string(event.SessionID)] = append(found[string(event.SessionID)], reasons...)
	}
	return found
}

// check holds what the API, the dead-letter stream and the receipt stream saw against the promise.
func (u *upgrade) check() {
	u.T.Helper()
	u.WaitDone()
	sessions, letters, receipts := u.Sessions(), u.letters(), receipts(u.Site)
	condemned, most := map[string]int{}, 0
	for _, id := range u.published() {
		reasons := letters[id]
		var want []string
		if reason := u.reason(id); reason != "" {
			want = []string{reason}
			condemned[reason]++
		}
		if !slices.Equal(reasons, want) || sessions[id].Revoked() != (want == nil) {
			u.T.Errorf("%s: revoked %v, dead letters %v, want %v, %d calls", id, sessions[id].Revoked(), reasons, want, len(sessions[id].Calls))
		}
		if receipts[receiptSubject(id)] != (want == nil) {
			u.T.Errorf("%s: a receipt %v, revoked %v", id, receipts[receiptSubject(id)], want == nil)
		}
		if !u.Sim.Hopeless(id) {
			most = max(most, len(sessions[id].Calls))
		}
	}
	// Of a worker that is killed, a call is made again. One that drains ends its calls.
	if bound := testsite.Failures + 1 + 2*u.rolls; most > bound {
		u.T.Errorf("a session was called %d times, want at most %d", most, bound)
	}
	if len(condemned) != 2 {
		u.T.Errorf("condemned are %v: too few were published", condemned)
	}
	for _, w := range append(u.ended, u.workers...) {
		for _, bad := range []string{"SECRET", "panic"} {
			if strings.Contains(w.Stderr.String(), bad) {
				u.T.Errorf("a worker's log has %q", bad)
			}
		}
	}
	u.T.Logf("%d live and %d bulk events, %d rolls, dead letters %v, at most %d calls a session", u.live, len(u.bulk), u.rolls, condemned, most)
}
