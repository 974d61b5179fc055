package systemtest

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// A network that swallows every byte closes no connection, so that only pings tell. What was acknowledged into the void is
// delivered and called again.
func TestASilentNetworkIsSurvived(t *testing.T) {
	t.Parallel()
	for name, noticed := range map[string]bool{"until the connection is given up": true, "for less": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const events = 4000
			s := testsite.New(t, testsite.Simulator{Latency: 20 * time.Millisecond})
			s.StartNATS()
			toNATS := testproc.NewRelay(t, strings.TrimPrefix(s.NATSURL, "nats://"))
			w := s.StartWorker("NATS_URL=nats://"+toNATS.Addr, "REVOKER_CONCURRENCY=32", "REVOKER_ACK_WAIT=2s")
			said := func(message string) int { return strings.Count(w.Stderr.String(), `"msg":"`+message) }
			s.Publish(0, events/2)
			testproc.WaitFor(t, "the middle of the run", func() bool { return s.Calls() > events/4 })
			silenced := time.Now()
			toNATS.Silence()
			s.Publish(events/2, events)
			if noticed {
				testproc.WaitFor(t, "end of the connection", func() bool { return said("disconnected from NATS") == 1 })
			} else {
				testproc.WaitFor(t, "word of unserved events", func() bool { return said("events are not served") > 0 })
			}
			if n := s.Calls(); n >= events {
				t.Fatalf("%d calls were made in the silence", n)
			}
			toNATS.Heal()
			// A pause may have let the silence last until the connection was given up. It never is within two pings.
			short := time.Since(silenced) < 6*time.Second
			s.WaitDone()
			testproc.WaitFor(t, "word of the end", func() bool { return said("events are served again") > 0 })
			w.Signal(syscall.SIGTERM)
			if code := w.Wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			for id, session := range s.Sessions() {
				if !session.Revoked() || len(session.Calls) > 2 {
					t.Errorf("%s: revoked %v, %d calls", id, session.Revoked(), len(session.Calls))
				}
			}
			if n := len(s.Sessions()); n != events {
				t.Errorf("%d sessions, want %d", n, events)
			}
			want := said("disconnected from NATS")
			if noticed {
				want = 1
			} else if short {
				want = 0
			}
			if said("disconnected from NATS") != want || said("reconnected to NATS") != want || said("events are not served") > 6 {
				t.Errorf("the log does not say once what happened:\n%s", w.Stderr.Tail())
			}
		})
	}
}
