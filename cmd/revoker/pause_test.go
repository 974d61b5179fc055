package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

// say runs a command with a site's connection and returns what it said, and its exit code.
func (s *site) say(env []string, args ...string) (out string, code int) {
	s.t.Helper()
	p := start(s.t, append([]string{"NATS_URL=" + s.natsURL}, env...), binary(s.t, "revoker"), args...)
	p.stdin.Close()
	code = p.wait()
	return p.stdout.String() + p.stderr.String(), code
}

// says runs a command that must end with this code and say each of the words.
func (s *site) says(code int, env, args []string, words ...string) string {
	s.t.Helper()
	out, got := s.say(env, args...)
	if got != code {
		s.t.Errorf("revoker %v: exit code %d, want %d", args, got, code)
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			s.t.Errorf("revoker %v: no %q", args, word)
		}
	}
	if strings.Contains(out, "SECRET") {
		s.t.Errorf("revoker %v: it prints a secret", args)
	}
	if s.t.Failed() {
		s.t.Logf("revoker %v said:\n%s", args, out)
	}
	return out
}

// While it is paused nothing is called, by workers that start later and by a restarted server too, and nothing is logged as
// trouble; after it everything is.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	const events = 50
	s := newSite(t, simulator{})
	server := s.startNATS()
	s.says(1, nil, []string{"pause"}, "stream does not exist", "revoker setup")
	s.says(1, nil, []string{"resume"}, "stream does not exist")
	w := s.startWorker()
	s.says(0, nil, []string{"pause", "--for", "1h"}, "paused until 20", "revoker resume")
	s.says(0, nil, []string{"pause"}, "paused until it is resumed")
	waitFor(t, "the end of pulls that were open", func() bool { return s.info().Paused && s.info().NumWaiting <= 1 })
	s.publish(0, events)
	waitFor(t, "the backlog", func() bool { return s.info().NumPending == events })
	w.signal(os.Interrupt)
	if code := w.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	server.signal(os.Interrupt)
	server.wait()
	s.startNATS()
	second := s.startWorker()
	s.says(0, nil, []string{"status"}, "PAUSED until it is resumed", "backlog            50")
	waitFor(t, "a pull of the new worker", func() bool { return s.info().NumWaiting > 0 })
	if n := s.calls(); n != 0 {
		t.Errorf("%d calls while it was paused", n)
	}
	for _, log := range []string{w.stderr.String(), second.stderr.String()} {
		if strings.Contains(log, `"level":"WARN"`) || strings.Contains(log, `"level":"ERROR"`) {
			t.Errorf("a pause is logged as trouble:\n%s", log)
		}
	}
	s.says(0, nil, []string{"resume"}, "resumed")
	s.says(0, nil, []string{"resume"}, "it was not paused")
	s.waitDone()
	waitFor(t, "every session", func() bool { return len(s.sessions()) == events })
	s.says(0, nil, []string{"pause", "--json"}, `"paused": true`)
	s.says(0, nil, []string{"resume", "--json"}, `"wasPaused": true`)
}

// An old server has no pause. What it says of its version is all that differs here.
func TestPauseNeedsAServerThatHasIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	s.startNATS()
	s.says(0, nil, []string{"setup"})
	old := []string{"NATS_URL=" + olderServer(t, strings.TrimPrefix(s.natsURL, "nats://"), "2.10.29")}
	for _, command := range []string{"pause", "resume"} {
		s.says(1, old, []string{command}, "the NATS server is of version 2.10.29; a consumer can be paused from 2.11 on")
	}
	if s.info().Paused {
		t.Error("it is paused")
	}
	s.says(0, append(s.env(), old...), []string{"check"}, "2.10.29 can't pause a consumer", "1 warning, 0 failed")
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
