package dlq_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
	"revoker/events/dlq"
	"revoker/events/internal/eventstest"
)

// store sets everything up and opens the dead letters.
func (h *harness) store(t *testing.T) *dlq.LetterStore {
	t.Helper()
	h.Ensure(t)
	store, err := dlq.OpenLetters(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func sequences(t *testing.T, store *dlq.LetterStore, selection dlq.Selection) (list []uint64) {
	t.Helper()
	for letter, err := range store.All(eventstest.Deadline(t), selection, nil) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, letter.Sequence)
	}
	return list
}

func TestAStoredLetterHasItsFacts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	consumer, letters := h.Ensure(t)
	store := h.store(t)
	h.Publish(t, &nats.Msg{Data: []byte(`{"sessionId":"the-session"}`), Header: nats.Header{"X-Trace": {"a", "b"}, "Nats-Msg-Id": {"original"}}})
	d := h.Next(t, consumer)
	given := events.Letter{Reason: events.ReasonCallerError, Error: "wrong", HTTPStatus: 400, ResultCode: "A1", ResultMessage: "[A1] no", SessionID: "the-session"}
	if err := letters.Publish(eventstest.Deadline(t), d, given); err != nil {
		t.Fatal(err)
	}
	got, err := store.Get(eventstest.Deadline(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Letter != given {
		t.Errorf("the letter %v, want %v", got.Letter, given)
	}
	if got.Origin.DeadLettered.IsZero() || got.Stored.IsZero() {
		t.Error("it has no time")
	}
	want := dlq.Origin{
		Stream: "SESSIONS", Sequence: 1, Subject: "session.ended", Consumer: "revoker", MessageID: "original",
		Published: d.Published.UTC(), DeadLettered: got.Origin.DeadLettered, Deliveries: 1,
	}
	if got.Origin != want || got.Name() != "SESSIONS_DLQ/1" || got.ReplayOf != "" {
		t.Errorf("%s of %+v, want %+v", got.Name(), got.Origin, want)
	}
	if own := got.OwnHeader(); len(own) != 1 || strings.Join(own["X-Trace"], ",") != "a,b" || string(got.Payload) != `{"sessionId":"the-session"}` {
		t.Errorf("the event has headers %v and payload %q", own, got.Payload)
	}
	for letter, err := range store.All(eventstest.Deadline(t), dlq.Selection{}, nil) {
		if err != nil || letter.Letter != got.Letter || letter.Origin != got.Origin || !letter.Stored.Equal(got.Stored) || !bytes.Equal(letter.Payload, got.Payload) {
			t.Errorf("a listing has %+v (%v), Get %+v", letter, err, got)
		}
	}
	if _, err := store.Get(eventstest.Deadline(t), 2); !errors.Is(err, dlq.ErrNoLetter) {
		t.Errorf("a letter that is not there: %v", err)
	}
}

// What would end or derail a reader that takes headers for the server's word, or facts for well-formed ones.
func TestHostileLettersAreRead(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Ensure(t)
	// A stream of another maker often allows direct gets, whose answers look like what is stored.
	stream, err := h.JS.Stream(eventstest.Deadline(t), h.Cfg.DeadLetterStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.AllowDirect, cfg.Subjects = true, []string{"dlq.>"}
	if _, err := h.JS.UpdateStream(eventstest.Deadline(t), cfg); err != nil {
		t.Fatal(err)
	}
	store := h.store(t)
	for _, header := range []nats.Header{
		{"Status": {"404"}, "Description": {"No Messages"}},
		{"Status": {"409"}, "Description": {"Message Size Exceeds MaxBytes"}},
		{"Status": {"503"}},
		{"Revoker-Http-Status": {"-1"}, "Revoker-Deliveries": {"many"}, "Revoker-Published-At": {"never"}, "Revoker-Replay-Of": {"SESSIONS_DLQ/1 \x1b[2J"}},
		{"Revoker-Reason": {strings.Repeat("x", 20_000)}},
		nil,
	} {
		h.Bury(t, header, "")
	}
	foreign := h.Publish(t, &nats.Msg{Subject: "dlq.other", Data: []byte("another's")})
	if got := sequences(t, store, dlq.Selection{}); !slices.Equal(got, []uint64{1, 2, 3, 4, 5, 6}) {
		t.Errorf("read %v", got)
	}
	for sequence := uint64(1); sequence <= 6; sequence++ {
		letter, err := store.Get(eventstest.Deadline(t), sequence)
		if err != nil {
			t.Errorf("letter %d: %v", sequence, err)
		}
		if letter.HTTPStatus != 0 || letter.Origin.Deliveries != 0 || !letter.Origin.Published.IsZero() || letter.ReplayOf != "" || len(letter.Reason) > 1024 {
			t.Errorf("letter %d: %+v", sequence, letter)
		}
	}
	if _, err := store.Get(eventstest.Deadline(t), foreign); !errors.Is(err, dlq.ErrNoLetter) {
		t.Errorf("a message on another subject: %v", err)
	}
}

func TestAllReadsWhatIsThereWhenItBegins(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	const n = 1300 // more than two batches
	for range n {
		if _, err := h.JS.PublishAsync(h.Cfg.DeadLetterSubject, []byte(`{"sessionId":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
	<-h.JS.PublishAsyncComplete()
	var got []uint64
	for letter, err := range store.All(eventstest.Deadline(t), dlq.Selection{}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			h.Bury(t, nil, "a late one")
			h.forgetScans(t)
		}
		got = append(got, letter.Sequence)
	}
	if len(got) != n || got[n-1] != n || !slices.IsSorted(got) {
		t.Errorf("%d letters, the last %d", len(got), got[len(got)-1])
	}
	if got := sequences(t, store, dlq.Selection{Sequences: []dlq.SequenceRange{{First: 1299, Last: dlq.OpenEnd}, {First: 3, Last: 3}}}); !slices.Equal(got, []uint64{3, 1299, 1300, 1301}) {
		t.Errorf("by sequence: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ended error
	for _, err := range store.All(ctx, dlq.Selection{}, nil) {
		cancel()
		ended = err
	}
	if !errors.Is(ended, context.Canceled) {
		t.Errorf("cancelled: %v", ended)
	}
}

// forgetScans deletes the consumers of scans, as the server does with those that are idle for long.
func (h *harness) forgetScans(t *testing.T) {
	t.Helper()
	stream, err := h.JS.Stream(eventstest.Deadline(t), h.Cfg.DeadLetterStream)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for name := range stream.ConsumerNames(eventstest.Deadline(t)).Name() {
		names++
		if err := stream.DeleteConsumer(eventstest.Deadline(t), name); err != nil {
			t.Fatal(err)
		}
	}
	if names == 0 {
		t.Error("there is no consumer to forget")
	}
}

func TestLargeLettersAndGapsAreRead(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	payload := strings.Repeat("x", int(h.NC.MaxPayload())-100)
	var want []uint64
	for range 12 { // more than one batch's bytes
		want = append(want, h.Bury(t, nil, payload))
	}
	letter, err := store.Get(eventstest.Deadline(t), 2)
	if err != nil || string(letter.Payload) != payload {
		t.Fatalf("%d bytes, %v", len(letter.Payload), err)
	}
	if err := store.Delete(eventstest.Deadline(t), letter); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(eventstest.Deadline(t), letter); !errors.Is(err, dlq.ErrNoLetter) {
		t.Errorf("deleted twice: %v", err)
	}
	letter.Sequence = 1000
	if err := store.Delete(eventstest.Deadline(t), letter); !errors.Is(err, dlq.ErrNoLetter) {
		t.Errorf("never there: %v", err)
	}
	if got := sequences(t, store, dlq.Selection{}); !slices.Equal(got, slices.Delete(want, 1, 2)) {
		t.Errorf("read %v", got)
	}
}

func TestTimesBoundWhatIsRead(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	var stored []time.Time
	for i := range 5 {
		sequence := h.Bury(t, nil, strconv.Itoa(i))
		letter, err := store.Get(eventstest.Deadline(t), sequence)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, letter.Stored)
	}
	for _, c := range []struct {
		s    dlq.Selection
		want []uint64
	}{
		{dlq.Selection{Since: stored[2]}, []uint64{3, 4, 5}},
		{dlq.Selection{Until: stored[2]}, []uint64{1, 2}},
		{dlq.Selection{Since: stored[1], Until: stored[3]}, []uint64{2, 3}},
		{dlq.Selection{Since: stored[1], Sequences: []dlq.SequenceRange{{First: 1, Last: 2}, {First: 5, Last: 5}}}, []uint64{2, 5}},
		{dlq.Selection{Since: time.Now().Add(time.Hour)}, nil},
	} {
		if got := sequences(t, store, c.s); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.s, got, c.want)
		}
	}
}

func TestNoDeadLetterStream(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	_, err := dlq.OpenLetters(eventstest.Deadline(t), h.Conn, h.Cfg)
	if err == nil || !strings.Contains(err.Error(), "there is no stream SESSIONS_DLQ") {
		t.Errorf("%v", err)
	}
	store := h.store(t)
	h.Bury(t, nil, "x")
	if err := h.JS.DeleteStream(eventstest.Deadline(t), "SESSIONS_DLQ"); err != nil {
		t.Fatal(err)
	}
	for _, err := range store.All(eventstest.Deadline(t), dlq.Selection{}, nil) {
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("deleted meanwhile: %v", err)
		}
	}
	if _, err := store.Get(eventstest.Deadline(t), 1); err == nil || errors.Is(err, dlq.ErrNoLetter) {
		t.Errorf("deleted meanwhile: %v", err)
	}
}

// Chosen sequences are read with few consumers, wherever they lie and however many there are.
func TestManySequencesAreReadWithFewConsumers(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := h.store(t)
	const n = 400
	for range n {
		h.Bury(t, nil, "x")
	}
	created, err := h.NC.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.CREATED.SESSIONS_DLQ.*")
	if err = errors.Join(err, h.NC.Flush()); err != nil { // before another connection makes the consumer
		t.Fatal(err)
	}
	var odd dlq.Selection
	var want []uint64
	for sequence := uint64(1); sequence <= n; sequence += 2 {
		want = append(want, sequence)
		odd.Sequences = append(odd.Sequences, dlq.SequenceRange{First: sequence, Last: sequence})
	}
	if got := sequences(t, store, odd); !slices.Equal(got, want) {
		t.Errorf("read %v", got)
	}
	if _, err := created.NextMsg(eventstest.Timeout); err != nil {
		t.Fatal(err)
	}
	if err := h.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	if more, _, _ := created.Pending(); more != 0 {
		t.Errorf("%d consumers, want 1", more+1)
	}
}
