package events_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
)

// buriedAnew deletes the dead-letter stream and creates it anew, with so many letters of other events.
func (h *harness) buriedAnew(t *testing.T, letters int) {
	t.Helper()
	if err := h.js.DeleteStream(deadline(t), h.cfg.DeadLetterStream); err != nil {
		t.Fatal(err)
	}
	if _, err := h.js.CreateStream(deadline(t), jetstream.StreamConfig{
		Name: h.cfg.DeadLetterStream, Subjects: []string{h.cfg.DeadLetterSubject},
	}); err != nil {
		t.Fatal(err)
	}
	for range letters {
		h.bury(t, nil, "new")
	}
}

func (h *harness) newLetters(t *testing.T, want int) {
	t.Helper()
	store, err := events.OpenLetters(deadline(t), h.conn, h.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := sequences(t, store, events.Selection{}); len(got) != want {
		t.Errorf("the new stream has letters %v, want %d", got, want)
	}
}

func TestALetterOfARecreatedStreamIsNotDeletedForAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	letter := get(t, store, h.bury(t, nil, "old"))
	h.buriedAnew(t, 1)
	if err := store.Delete(deadline(t), letter); !errors.Is(err, events.ErrNoLetter) {
		t.Errorf("deleting a letter that is not there any more: %v", err)
	}
	if _, err := h.replayer(t, store).Replay(deadline(t), events.Aged(letter, time.Minute)); !errors.Is(err, events.ErrNoLetter) || h.events(t) != 0 {
		t.Errorf("replaying it: %v, %d events", err, h.events(t))
	}
	if _, err := h.replayer(t, store).Replay(deadline(t), letter); !errors.Is(err, events.ErrNoLetter) || h.events(t) != 1 {
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
		h.bury(t, nil, "old")
	}
	if got := sequences(t, store, events.Selection{}); len(got) != 3 {
		t.Fatalf("counted %v", got)
	}
	h.buriedAnew(t, 3)
	err := events.Sweep(deadline(t), store.All(deadline(t), events.Selection{}, nil), 0, store.Delete, func(l events.StoredLetter, err error) {
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
	for range 3 {
		h.bury(t, nil, "old")
	}
	var read []string
	var end error
	twoRanges := events.Selection{Sequences: []events.SequenceRange{{First: 1, Last: 1}, {First: 3, Last: 3}}}
	for letter, err := range store.All(deadline(t), twoRanges, nil) {
		if end = err; err != nil {
			break
		}
		read = append(read, string(letter.Payload))
		h.buriedAnew(t, 3)
	}
	if !slices.Equal(read, []string{"old"}) || end == nil || !strings.Contains(end.Error(), "created anew") {
		t.Errorf("read %q, and then %v", read, end)
	}
}

// Sequences, and so the beginning of the message ID, are the same in both streams.
func TestEventsOfTwoStreamsHaveALetterEach(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.setup(t)
	for _, payload := range []string{"old", "new"} {
		h.publish(t, &nats.Msg{Data: []byte(payload)})
		d := h.nextRestored(t, consumer)
		if d.Sequence != 1 {
			t.Fatalf("sequence %d", d.Sequence)
		}
		if err := letters.Publish(deadline(t), d, events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
			t.Fatal(err)
		}
		if err := h.js.DeleteStream(deadline(t), h.cfg.Stream); err != nil {
			t.Fatal(err)
		}
		h.created(t)
	}
	h.newLetters(t, 2)
}
