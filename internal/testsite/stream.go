package testsite

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testport"
)

// NewStore is a site with neither API nor worker, whose NATS server is not started yet.
func NewStore(t testing.TB) *Site {
	t.Helper()
	return &Site{
		T: t, store: t.TempDir(), NATSURL: "nats://" + testport.Address(t), Login: nats.UserInfo("admin", "admin"),
	}
}

// NewStream is a NATS server as a process, with the stream of the events and no worker.
func NewStream(t testing.TB, more ...string) *Site {
	t.Helper()
	s := NewStore(t)
	s.StartNATS(more...)
	s.CreateStream(jetstream.StreamConfig{})
	return s
}

// CreateStream creates or changes the stream of the events.
func (s *Site) CreateStream(cfg jetstream.StreamConfig) {
	s.T.Helper()
	cfg.Name, cfg.Subjects = "SESSIONS", []string{"session.ended"}
	if _, err := s.JS.CreateOrUpdateStream(s.Deadline(), cfg); err != nil {
		s.T.Fatal(err)
	}
}

// Count is how many events are stored.
func (s *Site) Count() int {
	s.T.Helper()
	stream, err := s.JS.Stream(s.Deadline(), "SESSIONS")
	if err != nil {
		return 0 // the server is away
	}
	return int(stream.CachedInfo().State.Msgs)
}
