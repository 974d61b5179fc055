package systemtest

import (
	"bufio"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// While it is paused nothing is called, by workers that start later and by a restarted server too, and nothing is logged as
// trouble; after it everything is.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	const events = 50
	s := testsite.New(t, testsite.Simulator{})
	server := s.StartNATS()
	s.Says(1, nil, []string{"pause"}, "stream does not exist", "revoker setup")
	s.Says(1, nil, []string{"resume"}, "stream does not exist")
	w := s.StartWorker()
	s.Says(0, nil, []string{"pause", "--for", "1h"}, "paused until 20", "revoker resume")
	s.Says(0, nil, []string{"pause"}, "paused until it is resumed")
	testproc.WaitFor(t, "the end of pulls that were open", func() bool { return s.Info().Paused && s.Info().NumWaiting <= 1 })
	s.Publish(0, events)
	testproc.WaitFor(t, "the backlog", func() bool { return s.Info().NumPending == events })
	w.Signal(os.Interrupt)
	if code := w.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	server.Signal(os.Interrupt)
	server.Wait()
	s.StartNATS()
	second := s.StartWorker()
	s.Says(0, nil, []string{"status"}, "PAUSED until it is resumed", "backlog            50")
	testproc.WaitFor(t, "a pull of the new worker", func() bool { return s.Info().NumWaiting > 0 })
	if n := s.Calls(); n != 0 {
		t.Errorf("%d calls while it was paused", n)
	}
	for _, log := range []string{w.Stderr.String(), second.Stderr.String()} {
		if lines := trouble(log); lines != "" {
			t.Errorf("a pause is logged as trouble:\n%s", lines)
		}
	}
	s.Says(0, nil, []string{"resume"}, "resumed")
	s.Says(0, nil, []string{"resume"}, "it was not paused")
	s.WaitDone()
	testproc.WaitFor(t, "every session", func() bool { return len(s.Sessions()) == events })
	s.Says(0, nil, []string{"pause", "--json"}, `"paused": true`)
	s.Says(0, nil, []string{"resume", "--json"}, `"wasPaused": true`)
}

// trouble is what a log has of it, but for pulls to whose end the server said nothing in time: it stood still for a second, which says
// more of the machine than of the worker.
func trouble(log string) (lines string) {
	for line := range strings.Lines(log) {
		if (strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`)) && !strings.Contains(line, "the server did not answer") {
			lines += line
		}
	}
	return lines
}

// An old server has no pause. What it says of its version is all that differs here.
func TestPauseNeedsAServerThatHasIt(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup"})
	old := []string{"NATS_URL=" + olderServer(t, strings.TrimPrefix(s.NATSURL, "nats://"), "2.10.29")}
	for _, command := range []string{"pause", "resume"} {
		s.Says(1, old, []string{command}, "the NATS server is of version 2.10.29; a consumer can be paused from 2.11 on")
	}
	if s.Info().Paused {
		t.Error("it is paused")
	}
	s.Says(0, append(s.Env(), old...), []string{"check"}, "2.10.29 can't pause a consumer", "1 warning, 0 failed")
}

// olderServer passes connections on to a server, and replaces the version that the server says it has.
func olderServer(t *testing.T, target, version string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	said := regexp.MustCompile(`"version":"[^"]*"`)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				return
			}
			go func() {
				defer client.Close()
				for reader := bufio.NewReader(server); ; {
					line, err := reader.ReadString('\n')
					if strings.HasPrefix(line, "INFO ") { // it is said again after the handshake
						line = said.ReplaceAllString(line, `"version":"`+version+`"`)
					}
					if _, failed := io.WriteString(client, line); failed != nil || err != nil {
						return
					}
				}
			}()
			go func() {
				defer server.Close()
				_, _ = io.Copy(server, client)
			}()
		}
	}()
	return "nats://" + listener.Addr().String()
}
