package systemtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events"
	"revoker/events/admin"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// What SECURITY.md says of stolen identities, tried.

// A publisher can keep an event from being stored: the server takes the next one with the same message ID for a repetition. `publish`
// counts it.
func TestAThiefOfAPublisherCanSuppressAnEvent(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	s.Says(0, identity("setup"), []string{"setup"})
	thief := dialAs(t, s, "publisher")
	id := events.Event{SessionID: "SECRET-session-7"}.MessageID(config.Live)
	if _, err := thief.RequestMsg(&nats.Msg{Subject: "session.ended", Header: nats.Header{nats.MsgIdHdr: {id}}, Data: []byte(`{"sessionId":"SECRET-session-8"}`)}, testproc.Timeout); err != nil {
		t.Fatal(err)
	}
	p := testproc.Start(t, append(identity("publisher"), "NATS_URL="+s.NATSURL), testproc.Binary(t, "revoker"), "publish")
	fmt.Fprintln(p.Stdin, "SECRET-session-7")
	p.Stdin.Close()
	if code := p.Wait(); code != 0 || !strings.Contains(p.Stdout.String()+p.Stderr.String(), "already there 1") {
		t.Errorf("publishing: exit code %d: %s%s", code, p.Stdout.String(), p.Stderr.String())
	}
	s.StartWorker(identity("worker")...)
	s.WaitDone()
	if sessions := s.Sessions(); len(sessions) != 1 || !sessions["SECRET-session-8"].Revoked() {
		t.Errorf("%v", sessions)
	}
}

// A worker can settle events without a call.
func TestAThiefOfAWorkerCanLoseEvents(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	s.Says(0, identity("setup"), []string{"setup"})
	publishAs(s, "publisher", 0, 1)
	thief := dialAs(t, s, "worker")
	event, err := thief.Request("$JS.API.CONSUMER.MSG.NEXT.SESSIONS.revoker", []byte(`{"batch":1,"expires":30000000000}`), testproc.Timeout)
	if err != nil || !strings.Contains(string(event.Data), "SECRET-session-0") {
		t.Fatal(err)
	}
	if err := event.Ack(); err != nil {
		t.Fatal(err)
	}
	s.WaitDone()
	if n := s.Calls(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// Whoever may change a stream can lose its events, and have new ones sent to where it listens.
func TestAThiefOfSetupCanReadAndLoseEvents(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	s.Says(0, identity("setup"), []string{"setup"})
	publishAs(s, "publisher", 0, 10)
	thief := dialAs(t, s, "setup")
	js, err := jetstream.New(thief)
	if err != nil {
		t.Fatal(err)
	}
	leak, err := thief.SubscribeSync("_INBOX_setup.leak.>")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(s.Deadline(), "SESSIONS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.RePublish = &jetstream.RePublish{Source: ">", Destination: "_INBOX_setup.leak.>"}
	if _, err := js.UpdateStream(s.Deadline(), cfg); err != nil {
		t.Fatal(err)
	}
	publishAs(s, "publisher", 10, 11)
	if event, err := leak.NextMsg(testproc.Timeout); err != nil || !strings.Contains(string(event.Data), "SECRET-session-10") {
		t.Errorf("a new event: %v", err)
	}
	wants(t, s.Check(0, identity("worker")), admin.Warning, "copies of stream SESSIONS", "_INBOX_setup.leak.>")
	cfg.RePublish, cfg.MaxAge, cfg.Duplicates = nil, time.Second, time.Second
	if _, err := js.UpdateStream(s.Deadline(), cfg); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "the loss of all events", func() bool { return s.Stored("SESSIONS") == 0 })
	wants(t, s.Check(0, identity("worker")), admin.Warning, "stream SESSIONS", "max age is 1s")
	s.Says(0, identity("setup"), []string{"setup", "--yes"}, "max age")
}

// A password is replaced by a restart of the server with another one. The old one opens nothing from then on, and no event is lost.
func TestAPasswordIsReplaced(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	store := t.TempDir()
	server := startOneServerOn(s, store)
	s.Says(0, identity("setup"), []string{"setup"})
	old := s.StartWorker(identity("worker")...)
	publishAs(s, "publisher", 0, 50)
	s.WaitDone()

	server.Signal(os.Interrupt)
	server.Wait()
	s.ServerEnv = append(s.ServerEnv, "NATS_WORKER_PASSWORD=SECRET-another")
	startOneServerOn(s, store)
	publishAs(s, "publisher", 50, 100)
	testproc.WaitFor(t, "word of the refusal", func() bool {
		return strings.Contains(old.Stderr.String(), "NATS refuses the credentials")
	})
	if n := len(s.Sessions()); n != 50 {
		t.Errorf("with the old password %d sessions were revoked", n)
	}
	old.Signal(os.Interrupt)
	old.Wait()
	s.StartWorker("NATS_USER=worker", "NATS_PASSWORD=SECRET-another", "NATS_INBOX_PREFIX=_INBOX_worker")
	s.WaitDone()
	if n := len(s.Sessions()); n != 100 {
		t.Errorf("%d sessions were revoked", n)
	}
}

// Who reads the server's disk reads session IDs, unless JetStream encrypts it.
func TestWhatTheServersDiskShows(t *testing.T) {
	t.Parallel()
	for name, encrypted := range map[string]bool{"plain": false, "encrypted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAccountsSite(t, testsite.Simulator{Bad: 100})
			store := t.TempDir()
			if encrypted {
				s.ServerEnv = append(s.ServerEnv, "JETSTREAM_KEY=SECRET-key-of-the-disk")
				s.Edit = func(text string) string {
					return strings.Replace(text, "\njetstream {", "\njetstream {\n  cipher: chachapoly, key: $JETSTREAM_KEY", 1)
				}
			}
			startOneServerOn(s, store)
			s.Says(0, identity("setup"), []string{"setup"})
			s.StartWorker(identity("worker")...)
			publishAs(s, "publisher", 0, 10)
			s.WaitDone()
			found := 0
			err := filepath.WalkDir(store, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || !entry.Type().IsRegular() {
					return nil // the server may have removed it
				}
				content, err := os.ReadFile(path)
				if err == nil {
					found += bytes.Count(content, []byte("SECRET-session-"))
				}
				return nil
			})
			if err != nil || (found == 0) != encrypted {
				t.Errorf("%d session IDs on the disk, %v", found, err)
			}
		})
	}
}
