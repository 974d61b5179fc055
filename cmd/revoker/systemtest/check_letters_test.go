package systemtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events/admin"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// A dead-letter stream that takes nothing in fails the check, whatever keeps it from it.
func TestCheckOfADeadLetterStreamThatTakesNothing(t *testing.T) {
	t.Parallel()
	const room = "room for dead letters"
	for name, c := range map[string]struct {
		change func(*jetstream.StreamConfig)
		name   string
		want   string
	}{
		"full of messages": {func(c *jetstream.StreamConfig) { c.MaxMsgs = 2 }, room, "2 messages"},
		"full of bytes":    {func(c *jetstream.StreamConfig) { c.MaxBytes = 2200 }, room, "revoker dlq rm"},
		"sealed":           {func(c *jetstream.StreamConfig) { c.Sealed = true }, "permission to dead-letter", "sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testsite.New(t, testsite.Simulator{})
			s.StartNATS()
			s.Says(0, nil, []string{"setup"})
			stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_DLQ")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := s.JS.Publish(s.Deadline(), "dlq.session.ended", make([]byte, 1000)); err != nil {
					t.Fatal(err)
				}
			}
			for name, f := range s.Check(0, nil) {
				if f.State != admin.OK {
					t.Errorf("before: %s: %+v", name, f)
				}
			}
			changed := stream.CachedInfo().Config
			c.change(&changed)
			if _, err := s.JS.UpdateStream(s.Deadline(), changed); err != nil {
				t.Fatal(err)
			}
			wants(t, s.Check(1, nil), admin.Failed, c.name, c.want)
			wants(t, s.Check(1, nil, "--dead-letter"), admin.Failed, "storing a dead letter", "publishing to dlq.session.ended")
		})
	}
}

// What fails for the server alone is seen by storing a letter, which is gone again afterwards.
func TestCheckStoresALetter(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte("jetstream { max_file_store: 1M }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS("--config", file)
	s.Says(0, nil, []string{"setup"})
	const storing = "storing a dead letter"
	wants(t, s.Check(0, nil, "--dead-letter"), admin.OK, storing, "stored, and deleted")
	if letters, err := s.JS.Stream(s.Deadline(), "SESSIONS_DLQ"); err != nil || letters.CachedInfo().State.Msgs != 0 || letters.CachedInfo().State.LastSeq != 1 {
		t.Errorf("%v %+v", err, letters.CachedInfo().State)
	}
	if _, err := s.JS.CreateStream(s.Deadline(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "full server", func() bool {
		_, err := s.JS.Publish(s.Deadline(), "other", make([]byte, 50_000))
		var refused *jetstream.APIError
		return errors.As(err, &refused)
	})
	wants(t, s.Check(1, nil, "--dead-letter"), admin.Failed, storing, "insufficient resources")
	wants(t, s.Check(1, nil, "--dead-letter"), admin.Failed, storing, "until it is restarted")
}

// An account that may not delete the letter is told which one is left.
func TestCheckOfAnAccountThatMayNotDelete(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	s.Says(0, identity("setup"), []string{"setup", "--yes"})
	found := s.Check(0, identity("worker"), "--dead-letter")
	wants(t, found, admin.Warning, "storing a dead letter", "SESSIONS_DLQ/1 is stored")
	wants(t, found, admin.Warning, "storing a dead letter", "revoker dlq rm 1")
	s.Says(0, identity("operator"), []string{"dlq", "rm", "1", "--yes"}, "deleted 1 of 1")
}
