package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

var retentions = map[string]jetstream.RetentionPolicy{
	"limits": jetstream.LimitsPolicy, "interest": jetstream.InterestPolicy, "workqueue": jetstream.WorkQueuePolicy,
}

const bulkSubject = "session.ended.bulk"

func TestAFreshStreamHasBothLanes(t *testing.T) {
	t.Parallel()
	for name := range retentions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.Cfg.Retention = name
			lanes, _ := h.EnsureLanes(t)
			if !lanes.Live.Ready() || !lanes.Bulk.Ready() {
				t.Fatalf("live ready %v, bulk ready %v", lanes.Live.Ready(), lanes.Bulk.Ready())
			}
			h.Publish(t, &nats.Msg{Data: []byte("live")})
			h.Publish(t, &nats.Msg{Subject: bulkSubject, Data: []byte("bulk")})
			for _, consumer := range []*events.Consumer{lanes.Bulk, lanes.Live} {
				d := h.Next(t, consumer)
				if d.Lane != consumer.Lane || string(d.Payload()) != string(consumer.Lane) || d.Pending != 0 || d.Consumer != h.Cfg.In(d.Lane).Consumer {
					t.Errorf("the lane %s brings %q: %+v", consumer.Lane, d.Payload(), d)
				}
				newest, err := patiently(t, consumer.Newest)
				if err != nil || string(newest.Payload) != string(consumer.Lane) {
					t.Errorf("the newest of %s is %q, %v", consumer.Lane, newest.Payload, err)
				}
				position, err := patiently(t, consumer.Position)
				if err != nil || position.Delivered != d.Sequence || position.Pending != 0 {
					t.Errorf("the position of %s is %+v, %v", consumer.Lane, position, err)
				}
			}
			h.clean(t)
		})
	}
}

// patiently asks again where the answer came too late, as it may on a machine that pauses.
func patiently[A any](t *testing.T, ask func(context.Context) (A, error)) (answer A, err error) {
	t.Helper()
	testproc.WaitFor(t, "answer in time", func() bool {
		answer, err = ask(eventstest.Deadline(t))
		return !errors.Is(err, context.DeadlineExceeded)
	})
	return answer, err
}

func TestALaneThatIsOffIsNotCreated(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Cfg.BulkSubject = ""
	if plan := h.plan(t); plan.Creates() != 3 {
		t.Errorf("the plan is %+v", plan)
	}
	lanes, _ := h.EnsureLanes(t)
	if lanes.Bulk != nil {
		t.Error("there is a bulk lane")
	}
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	if subjects := stream.CachedInfo().Config.Subjects; len(subjects) != 1 {
		t.Errorf("the stream stores %v", subjects)
	}
	h.clean(t)
}

// oneLane is an installation from before there was a bulk lane, with an event in its queue.
func oneLane(t *testing.T, retention string, filter string) *harness {
	t.Helper()
	h := newHarness(t)
	h.Cfg.Retention = retention
	h.CreateStream(t, jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.ended"}, Retention: retentions[retention],
		Discard: jetstream.DiscardNew, MaxAge: 7 * 24 * time.Hour, Duplicates: 2 * time.Minute})
	if _, err := h.JS.CreateConsumer(eventstest.Deadline(t), "SESSIONS", jetstream.ConsumerConfig{Durable: "revoker", FilterSubject: filter,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 10 * time.Second, MaxDeliver: -1, MaxAckPending: 50_000}); err != nil {
		t.Fatal(err)
	}
	h.Publish(t, &nats.Msg{Data: []byte("live")})
	return h
}

// A worker that runs already takes up the lane that setup adds, and keeps what it has in hand.
func TestSetupAddsTheBulkLaneToRunningWorkers(t *testing.T) {
	t.Parallel()
	for name := range retentions {
		for _, filter := range []string{"session.ended", ""} {
			t.Run(name+" "+filter, func(t *testing.T) {
				t.Parallel()
				h := oneLane(t, name, filter)
				lanes, _ := h.EnsureLanes(t)
				if lanes.Bulk.Ready() {
					t.Fatal("the bulk lane is ready")
				}
				if err := lanes.Bulk.Restore(eventstest.Deadline(t)); !errors.Is(err, events.ErrNoLane) {
					t.Errorf("restoring says %v", err)
				}
				if _, err := lanes.Bulk.Pull(1, time.Millisecond, nil); !errors.Is(err, events.ErrPull) || !errors.Is(err, events.ErrNoLane) {
					t.Errorf("pulling says %v", err)
				}
				inHand := h.Next(t, lanes.Live)
				h.apply(t)
				h.clean(t)
				if err := lanes.Bulk.Restore(eventstest.Deadline(t)); err != nil || !lanes.Bulk.Ready() {
					t.Fatalf("after setup: %v, ready %v", err, lanes.Bulk.Ready())
				}
				h.Publish(t, &nats.Msg{Subject: bulkSubject, Data: []byte("bulk")})
				if d := h.Next(t, lanes.Bulk); string(d.Payload()) != "bulk" {
					t.Errorf("the bulk lane brings %q", d.Payload())
				}
				inHand.Ack()
				testproc.WaitFor(t, "settlement", func() bool { return h.Info(t).NumAckPending == 0 })
				if n := h.Info(t).NumPending; n != 0 {
					t.Errorf("%d bulk events wait for the live lane", n)
				}
			})
		}
	}
}

func TestAnInstallationWithOneLaneIsToldOnceWhatSetupAdds(t *testing.T) {
	t.Parallel()
	h := oneLane(t, "limits", "session.ended")
	h.EnsureLanes(t)
	text := strings.Join(h.Log.Lines(), "\n")
	for _, want := range []string{"`revoker setup` adds it", "subject session.ended.bulk", "consumer revoker-bulk"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not said once in\n%s", want, text)
		}
	}
	if strings.Contains(text, "differs") {
		t.Errorf("a difference is reported too:\n%s", text)
	}
	plan, said := h.plan(t), ""
	for _, d := range plan.Objects[0].Differences {
		said += d.String()
		if d.Fault {
			t.Errorf("%s is a fault", d)
		}
	}
	if said != "subjects are session.ended, not session.ended, session.ended.bulk: it does not store session.ended.bulk" {
		t.Errorf("the plan says %q", said)
	}
}

// What publishers try to send while setup runs is either refused or delivered. With interest retention the server drops what no
// consumer waits for.
func TestNothingIsDroppedWhileSetupAddsTheLane(t *testing.T) {
	t.Parallel()
	for name := range retentions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := oneLane(t, name, "session.ended")
			done, stored := make(chan struct{}), make(chan int)
			go func() {
				n := 0
				for {
					select {
					case <-done:
						stored <- n
						return
					default:
					}
					if msg, err := h.NC.Request(bulkSubject, []byte("{}"), eventstest.Timeout); err == nil && !strings.Contains(string(msg.Data), "error") {
						n++
					}
				}
			}()
			h.apply(t)
			lanes, _ := h.EnsureLanes(t)
			h.Publish(t, &nats.Msg{Subject: bulkSubject, Data: []byte("last")})
			close(done)
			want := <-stored + 1
			h.Cfg = h.Cfg.In(config.Bulk)
			if !lanes.Bulk.Ready() {
				t.Error("the lane is not ready")
			}
			// What the server says of this lags behind the stream.
			testproc.WaitFor(t, fmt.Sprintf("%d stored events that wait", want), func() bool { return h.Info(t).NumPending == uint64(want) })
		})
	}
}

// The subject may be taken out of the stream again while events of the lane are stored.
func TestAConsumerWithoutItsSubjectIsServed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.EnsureLanes(t)
	h.Publish(t, &nats.Msg{Subject: bulkSubject, Data: []byte("bulk")})
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	narrowed := stream.CachedInfo().Config
	narrowed.Subjects = []string{"session.ended"}
	if _, err := h.JS.UpdateStream(eventstest.Deadline(t), narrowed); err != nil {
		t.Fatal(err)
	}
	lanes, _ := h.EnsureLanes(t)
	if d := h.Next(t, lanes.Bulk); string(d.Payload()) != "bulk" {
		t.Errorf("got %q", d.Payload())
	}
}

// A stream on session.> stores the bulk subject already, and the account of a worker may know nothing of a second consumer.
func TestAnAccountThatMayNotAddTheLaneWorksWithOne(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string]string{
		"may not ask": "$JS.API.CONSUMER.INFO.SESSIONS.revoker-bulk", "may not create": "$JS.API.CONSUMER.CREATE.SESSIONS.revoker-bulk.>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{denied}},
			}})
			h := unconnected()
			h.Cfg.NATS = eventstest.As(s, "worker")
			h.Conn = h.Connect(t, true)
			h.Dial(t, s.ClientURL(), nats.UserInfo("worker", "pw"))
			h.CreateStream(t, jetstream.StreamConfig{Name: "SESSIONS", Subjects: []string{"session.>"}})
			lanes, _ := h.EnsureLanes(t)
			if !lanes.Live.Ready() || lanes.Bulk.Ready() {
				t.Errorf("live ready %v, bulk ready %v", lanes.Live.Ready(), lanes.Bulk.Ready())
			}
			if text := strings.Join(h.Log.Lines(), "\n"); !strings.Contains(text, "there is no bulk lane") || !strings.Contains(text, "permissions do not allow") {
				t.Errorf("the log:\n%s", text)
			}
		})
	}
}

func TestABulkConsumerThatBreaksThePromiseIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.EnsureLanes(t)
	if err := h.JS.DeleteConsumer(eventstest.Deadline(t), "SESSIONS", "revoker-bulk"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.JS.CreateConsumer(eventstest.Deadline(t), "SESSIONS", jetstream.ConsumerConfig{Durable: "revoker-bulk",
		FilterSubject: bulkSubject, AckPolicy: jetstream.AckAllPolicy}); err != nil {
		t.Fatal(err)
	}
	_, _, err := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err == nil || !strings.Contains(err.Error(), "ack policy is all") || !strings.Contains(err.Error(), "REVOKER_BULK_CONSUMER") {
		t.Errorf("got %v", err)
	}
}
