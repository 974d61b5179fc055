package dlq_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/dlq"
	"revoker/events/internal/eventstest"
	"revoker/internal/testproc"
)

func (h *harness) replayer(t *testing.T, store *dlq.LetterStore) *dlq.Replayer {
	t.Helper()
	replayer, err := store.Replayer(eventstest.Deadline(t), config.Live)
	if err != nil {
		t.Fatal(err)
	}
	return replayer
}

func get(t *testing.T, store *dlq.LetterStore, sequence uint64) dlq.StoredLetter {
	t.Helper()
	letter, err := store.Get(eventstest.Deadline(t), sequence)
	if err != nil {
		t.Fatal(err)
	}
	return letter
}

// An event goes to the dead letters, back to its stream, and to the dead letters again.
func TestAReplayedEventThatFailsAgainNamesTheEarlierLetter(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	store := h.store(t)
	replayer := h.replayer(t, store)
	h.Publish(t, &nats.Msg{Data: []byte("payload\x00"), Header: nats.Header{
		"X-Trace": {"a", "b"}, "Nats-Msg-Id": {"original"}, "Revoker-Reason": {"FORGED"},
	}})
	for round := uint64(1); round <= 3; round++ {
		d := h.Next(t, consumer)
		earlier := d.Header().Get("Revoker-Replay-Of")
		if d.Sequence != round || string(d.Payload()) != "payload\x00" || strings.Join(d.Header()["X-Trace"], ",") != "a,b" {
			t.Fatalf("delivery %d of %q with %v", d.Sequence, d.Payload(), d.Header())
		}
		if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
			t.Fatal(err)
		}
		d.Term("x")
		letter := get(t, store, round) // none is taken for the one before
		if letter.ReplayOf != earlier || (earlier == "") != (round == 1) {
			t.Errorf("letter %d is a replay of %q, want %q", round, letter.ReplayOf, earlier)
		}
		if round > 1 {
			if len(d.Header()) != 4 || earlier != "SESSIONS_DLQ/"+string(rune('0'+round-1)) || !strings.HasPrefix(d.Header().Get("Nats-Msg-Id"), "replay/"+earlier+"/") {
				t.Errorf("the replayed event has %v", d.Header())
			}
		}
		if repeated, err := replayer.Replay(eventstest.Deadline(t), letter); repeated || err != nil {
			t.Fatal(repeated, err)
		}
		if _, err := store.Get(eventstest.Deadline(t), round); !errors.Is(err, dlq.ErrNoLetter) {
			t.Errorf("the letter is still there: %v", err)
		}
	}
}

// The header comes from whoever publishes an event; an operator reads it.
func TestAPublisherCannotMakeUpWhatALetterIsAReplayOf(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.KeepInHand()
	consumer, letters := h.Ensure(t)
	store := h.store(t)
	for _, value := range []string{
		"call +1 555 0100", "SESSIONS_DLQ/", "SESSIONS_DLQ/0", "SESSIONS_DLQ/-1", "SESSIONS_DLQ/+1", "SESSIONS_DLQ/007", "SESSIONS_DLQ/1 x", "OTHER/1",
		"SESSIONS_DLQ/1/x", "SESSIONS_DLQ/99999999999999999999", "sessions_dlq/1",
	} {
		h.Publish(t, &nats.Msg{Header: nats.Header{"Revoker-Replay-Of": {value}, "revoker-replay-of": {value}}})
		d := h.Next(t, consumer)
		if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
			t.Fatal(err)
		}
		letter := get(t, store, d.Sequence)
		for name, values := range letter.Header {
			if strings.EqualFold(name, "Revoker-Replay-Of") {
				t.Errorf("%q became %s: %q", value, name, values)
			}
		}
	}
}

// A crowd of replayed events must not delay live ones, wherever they came from.
func TestReplayPublishesToTheChosenLane(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	for _, origin := range []string{"session.ended", "session.ended.bulk", "session.started"} {
		for lane, want := range map[config.Lane]string{config.Live: "session.ended", config.Bulk: "session.ended.bulk"} {
			sequence := h.Bury(t, nats.Header{"Revoker-Subject": {origin}, "Revoker-Stream": {"SESSIONS"}}, "x")
			replayer, err := store.Replayer(eventstest.Deadline(t), lane)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := replayer.Replay(eventstest.Deadline(t), get(t, store, sequence)); err != nil {
				t.Fatal(err)
			}
			stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
			if err != nil {
				t.Fatal(err)
			}
			msg, err := stream.GetMsg(eventstest.Deadline(t), stream.CachedInfo().State.LastSeq)
			if err != nil || msg.Subject != want {
				t.Errorf("from %s to the lane %s: %+v, %v; want %s", origin, lane, msg, err, want)
			}
		}
	}
}

func TestReplayPublishesToASubjectOfTheEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ what, configured, said, want string }{
		{"its own", "session.ended", "session.ended", "session.ended"},
		{"none said", "session.ended", "", "session.ended"},
		{"one that no worker takes events from", "session.ended", "session.started", "session.ended"},
		{"the server's", "session.ended", "$JS.API.STREAM.DELETE.SESSIONS", "session.ended"},
		{"a wildcard", "session.ended", "session.*", "session.ended"},
		{"one of many", "session.*.ended", "session.eu.ended", "session.eu.ended"},
		{"not one of many", "session.*.ended", "session.ended", ""},
		{"many", "session.*.ended", "session.*.ended", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.Cfg.Subject = c.configured
			store := h.store(t)
			sequence := h.Bury(t, nats.Header{"Revoker-Subject": {c.said}, "Revoker-Stream": {"SESSIONS"}}, "x")
			_, err := h.replayer(t, store).Replay(eventstest.Deadline(t), get(t, store, sequence))
			stream, lookup := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
			if lookup != nil {
				t.Fatal(lookup)
			}
			msg, missing := stream.GetMsg(eventstest.Deadline(t), 1)
			if c.want == "" {
				var refused *dlq.RefusedError
				if !errors.As(err, &refused) || missing == nil || get(t, store, sequence).Sequence != sequence {
					t.Errorf("%v; published: %v", err, msg)
				}
				return
			}
			if err != nil || missing != nil || msg.Subject != c.want {
				t.Errorf("%v, %v: %v", err, missing, msg)
			}
		})
	}
}

func TestWhatDidNotFitComesFromTheEvent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.KeepInHand()
	consumer, letters := h.Ensure(t)
	store := h.store(t)
	replayer := h.replayer(t, store)
	payload, header := strings.Repeat("x", int(h.NC.MaxPayload())-500), strings.Repeat("h", 60_000)
	for _, msg := range []*nats.Msg{
		{Data: []byte(payload)},
		{Data: []byte("small"), Header: nats.Header{"X-Large": {header}, "X-Another": {header[:5000]}}},
		{Data: []byte(payload)},
		{Data: []byte(strings.Repeat("x", int(h.NC.MaxPayload())))}, // beside which not even a message ID fits
		{Data: []byte("of another stream")},
	} {
		h.Publish(t, msg)
		d := h.Next(t, consumer)
		if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent, Error: strings.Repeat("long ", 200)}); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	for sequence := uint64(1); sequence <= 2; sequence++ {
		letter := get(t, store, sequence)
		if letter.HeadersOmitted+letter.PayloadOmitted == 0 {
			t.Fatalf("letter %d is whole", sequence)
		}
		if _, err := replayer.Replay(eventstest.Deadline(t), letter); err != nil {
			t.Fatal(err)
		}
		was, _ := stream.GetMsg(eventstest.Deadline(t), sequence)
		is, err := stream.GetMsg(eventstest.Deadline(t), 5+sequence)
		if err != nil || string(is.Data) != string(was.Data) || is.Header.Get("X-Large") != was.Header.Get("X-Large") {
			t.Errorf("event %d came back otherwise (%v)", sequence, err)
		}
	}
	if err := stream.DeleteMsg(eventstest.Deadline(t), 3); err != nil {
		t.Fatal(err)
	}
	foreign := get(t, store, 5)
	foreign.Origin.Stream = "OTHER"
	recreated := get(t, store, 3)
	recreated.Origin.Sequence = 2 // an event of another time stands where the sequence says
	for what, letter := range map[string]dlq.StoredLetter{
		"no longer in stream SESSIONS": get(t, store, 3), "did not fit into the letter": recreated, "too large": get(t, store, 4),
		"of another stream than SESSIONS": foreign,
	} {
		var refused *dlq.RefusedError
		if _, err := replayer.Replay(eventstest.Deadline(t), letter); !errors.As(err, &refused) || !strings.Contains(refused.Reason, what) {
			t.Errorf("%v, want %q", err, what)
		}
		get(t, store, letter.Sequence)
	}
}

// A crash between the publication and the deletion leaves the letter; the next run publishes nothing and deletes it.
func TestAReplayThatWasCutOffIsNotDoubled(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	replayer := h.replayer(t, store)
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS_DLQ")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.DenyDelete = true
	if err := h.JS.DeleteStream(eventstest.Deadline(t), "SESSIONS_DLQ"); err != nil {
		t.Fatal(err)
	}
	h.CreateStream(t, cfg)
	letter := get(t, store, h.Bury(t, nil, "x"))
	for round := range 2 {
		repeated, err := replayer.Replay(eventstest.Deadline(t), letter)
		if repeated != (round == 1) || err == nil || errors.Is(err, dlq.ErrNoLetter) || !strings.Contains(err.Error(), "deleting dead letter SESSIONS_DLQ/1") {
			t.Errorf("round %d: %t, %v", round, repeated, err)
		}
	}
	if n := h.events(t); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func (h *harness) events(t *testing.T) uint64 {
	t.Helper()
	stream, err := h.JS.Stream(eventstest.Deadline(t), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func TestReplayNeedsTheRightStream(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	replayer := h.replayer(t, store)
	letter := get(t, store, h.Bury(t, nil, "x"))
	if err := h.JS.DeleteStream(eventstest.Deadline(t), "SESSIONS"); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "word that there is no stream", func() bool {
		_, err := replayer.Replay(eventstest.Deadline(t), letter)
		if !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, context.DeadlineExceeded) { // the client asks several times
			t.Errorf("no stream: %v", err)
		}
		return !errors.Is(err, context.DeadlineExceeded)
	})
	if _, err := h.JS.CreateStream(eventstest.Deadline(t), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"session.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := replayer.Replay(eventstest.Deadline(t), letter); err == nil || !strings.Contains(err.Error(), "expected stream does not match") {
		t.Errorf("another stream: %v", err)
	}
	if _, err := store.Replayer(eventstest.Deadline(t), config.Live); err == nil || !strings.Contains(err.Error(), "there is no stream SESSIONS;") {
		t.Errorf("no stream: %v", err)
	}
	get(t, store, letter.Sequence)
}

// Two operators replay the same letters at once.
func TestConcurrentReplaysPublishOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	const n = 300
	for range n {
		h.Bury(t, nil, `{"sessionId":"x"}`)
	}
	var mu sync.Mutex
	done, gone := map[uint64]int{}, 0
	var tries atomic.Int64
	var operators sync.WaitGroup
	for range 2 {
		replayer := h.replayer(t, store)
		replay := func(ctx context.Context, letter dlq.StoredLetter) error {
			tries.Add(1)
			_, err := replayer.Replay(ctx, letter)
			return err
		}
		operators.Go(func() {
			err := dlq.Sweep(eventstest.Deadline(t), store.All(eventstest.Deadline(t), dlq.Selection{}, nil), 0, replay, func(l dlq.StoredLetter, err error) {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done[l.Sequence]++
				case errors.Is(err, dlq.ErrNoLetter):
					gone++
				default:
					t.Error(err)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	operators.Wait()
	for sequence, times := range done {
		if times != 1 {
			t.Errorf("letter %d was deleted %d times", sequence, times)
		}
	}
	// Who deletes a letter and hears nothing of it within 5 s tries again, and finds it gone.
	unheard := int(tries.Load()) > len(done)+gone
	if len(done) != n && !unheard || h.events(t) != n {
		t.Errorf("%d done, %d gone, %d events", len(done), gone, h.events(t))
	}
	if left := sequences(t, store, dlq.Selection{}); !slices.Equal(left, nil) {
		t.Errorf("%v are left", left)
	}
}

// Another operator may have replayed a letter longer ago than the duplicate window reaches back.
func TestALetterThatWasReadLongAgoIsLookedUpFirst(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	letter := get(t, store, h.Bury(t, nil, "x"))
	if err := store.Delete(eventstest.Deadline(t), letter); err != nil {
		t.Fatal(err)
	}
	_, err := h.replayer(t, store).Replay(eventstest.Deadline(t), dlq.Aged(letter, time.Minute))
	if !errors.Is(err, dlq.ErrNoLetter) || h.events(t) != 0 {
		t.Errorf("%v, %d events", err, h.events(t))
	}
}

func TestAnEventWithHeadersThatCannotBeSentIsReplayedWithoutThem(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	store := h.store(t)
	h.PublishRaw(t, "X-Kept: a\r\nA Name: b\r\nNats-Rollup : all", "the payload")
	if err := letters.Publish(eventstest.Deadline(t), h.Next(t, consumer), events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.replayer(t, store).Replay(eventstest.Deadline(t), get(t, store, 1)); err != nil {
		t.Fatal(err)
	}
	d := h.Next(t, consumer)
	if string(d.Payload()) != "the payload" || d.Header().Get("X-Kept") != "a" || len(d.Header()) != 4 {
		t.Errorf("payload %q, header %q", d.Payload(), d.Header())
	}
}
