package testsite

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
)

// NewGraveyard is a site with a NATS server and both streams, and no worker.
func NewGraveyard(t testing.TB, arguments ...string) *Site {
	t.Helper()
	s := NewStore(t)
	s.StartNATS(arguments...)
	for stream, subjects := range map[string][]string{"SESSIONS": {"session.ended", "session.ended.bulk"}, "SESSIONS_DLQ": {"dlq.session.ended"}} {
		cfg := jetstream.StreamConfig{Name: stream, Subjects: subjects, Discard: jetstream.DiscardNew, Duplicates: 2 * time.Minute}
		if _, err := s.JS.CreateStream(s.Deadline(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	bulk := jetstream.ConsumerConfig{Durable: "revoker-bulk", FilterSubject: "session.ended.bulk", AckPolicy: jetstream.AckExplicitPolicy}
	if _, err := s.JS.CreateConsumer(s.Deadline(), "SESSIONS", bulk); err != nil {
		t.Fatal(err)
	}
	return s
}

// Bury stores n dead letters, of which each tenth is RETRIES_EXHAUSTED.
func (s *Site) Bury(n int) {
	s.T.Helper()
	for i := range n {
		header := nats.Header{}
		reason, code := events.ReasonCallerError, "A503201"
		if i%10 == 9 {
			reason, code = events.ReasonRetriesExhausted, "A503101"
		}
		for name, value := range map[string]string{
			events.HeaderReason: reason, events.HeaderResultCode: code, events.HeaderError: "the logout API answered", events.HeaderHTTPStatus: "400",
			events.HeaderSubject: "session.ended", events.HeaderStream: "SESSIONS", events.HeaderConsumer: "revoker", "X-Trace": "trace",
		} {
			header.Set(name, value)
		}
		msg := &nats.Msg{Subject: "dlq.session.ended", Header: header, Data: fmt.Appendf(nil, `{"sessionId":"SECRET-session-%d"}`, i)}
		if _, err := s.JS.PublishMsgAsync(msg); err != nil {
			s.T.Fatal(err)
		}
	}
	<-s.JS.PublishAsyncComplete()
}

// Stored counts the messages in a stream.
func (s *Site) Stored(stream string) int {
	s.T.Helper()
	found, err := s.JS.Stream(s.Deadline(), stream)
	if err != nil {
		s.T.Fatal(err)
	}
	return int(found.CachedInfo().State.Msgs)
}
