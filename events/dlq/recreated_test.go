package dlq_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/dlq"
	"revoker/events/internal/eventstest"
)

// buriedAnew deletes the dead-letter stream and creates it anew, with so many letters of other events.
func (h *harness) buriedAnew(t *testing.T, letters int) {
	t.Helper()
	if err := h.JS.DeleteStream(eventstest.Deadline(t), h.Cfg.DeadLetterStream); err != nil {
		t.Fatal(err)
	}
	h.CreateStream(t, jetstream.StreamConfig{Name: h.Cfg.DeadLetterStream, Subjects: []string{h.Cfg.DeadLetterSubject}})
	for range letters {
		h.Bury(t, nil, "new")
	}
}

func (h *harness) newLetters(t *testing.T, want int) {
	t.Helper()
	store, err := dlq.OpenLetters(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := sequences(t, store, dlq.Selection{}); len(got) != want {
		t.Errorf("the new stream has letters %v, want %d", got, want)
	}
}

func TestALetterOfARecreatedStreamIsNotDeletedForAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	letter := get(t, store, h.Bury(t, nil, "old"))
	h.buriedAnew(t, 1)
	if err := store.Delete(eventstest.Deadline(t), letter); !errors.Is(err, dlq.ErrNoLetter) {
		t.Errorf("deleting a letter that is not there any more: %v", err)
	}
	if _, err := h.replayer(t, store).Replay(eventstest.Deadline(t), dlq.Aged(letter, time.Minute)); !errors.Is(err, dlq.ErrNoLetter) || h.events(t) != 0 {
		t.Errorf("replaying it: %v, %d events", err, h.events(t))
	}
	if _, err := h.replayer(t, store).Replay(eventstest.Deadline(t), letter); !errors.Is(err, dlq.ErrNoLetter) || h.events(t) != 1 {
		t.Errorf("replaying it just after it was read: %v, %d events", err, h.events(t))
	}
	h.newLetters(t, 1)
}

// An operator counts, and answers a question before anything is deleted.
func TestWhatWasCountedInOneStreamIsNotDeletedFromAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	for range 3 {
		h.Bury(t, nil, "old")
	}
	if got := sequences(t, store, dlq.Selection{}); len(got) != 3 {
		t.Fatalf("counted %v", got)
	}
	h.buriedAnew(t, 3)
	err := dlq.Sweep(eventstest.Deadline(t), store.All(eventstest.Deadline(t), dlq.Selection{}, nil), 0, store.Delete, func(l dlq.StoredLetter, err error) {
		t.Errorf("letter %d was swept: %v", l.Sequence, err)
	})
	if err == nil || !strings.Contains(err.Error(), "created anew") {
		t.Errorf("the sweep ended with %v", err)
	}
	h.newLetters(t, 3)
}

func TestAStreamThatIsRecreatedWhileItIsReadEndsTheReading(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	const several = 3000 // batches
	for range several {
		if _, err := h.JS.PublishAsync(h.Cfg.DeadLetterSubject, []byte("old")); err != nil {
			t.Fatal(err)
		}
	}
	<-h.JS.PublishAsyncComplete()
	read, end := 0, error(nil)
	for letter, err := range store.All(eventstest.Deadline(t), dlq.Selection{}, nil) {
		if end = err; err != nil {
			break
		}
		if string(letter.Payload) != "old" {
			t.Fatal("a letter of the new stream was read")
		}
		if read++; read == 1 {
			h.buriedAnew(t, 3)
		}
	}
	if read == several || end == nil || !strings.Contains(end.Error(), "created anew") {
		t.Errorf("read %d, and then %v", read, end)
	}
}

// Sequences, and so the beginning of the message ID, are the same in both streams.
func TestEventsOfTwoStreamsHaveALetterEach(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	for _, payload := range []string{"old", "new"} {
		h.Publish(t, &nats.Msg{Data: []byte(payload)})
		d := h.NextRestored(t, consumer)
		if d.Sequence != 1 {
			t.Fatalf("sequence %d", d.Sequence)
		}
		if err := letters.Publish(eventstest.Deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
			t.Fatal(err)
		}
		if err := h.JS.DeleteStream(eventstest.Deadline(t), h.Cfg.Stream); err != nil {
			t.Fatal(err)
		}
		h.Create(t)
	}
	h.newLetters(t, 2)
}
