package testsite

import (
	"encoding/json"
	"strings"

	"revoker/events/admin"
	"revoker/internal/testproc"
)

// Say runs a command with a site's connection and returns what it said, and its exit code.
func (s *Site) Say(env []string, args ...string) (out string, code int) {
	s.T.Helper()
	p := testproc.Start(s.T, append([]string{"NATS_URL=" + s.NATSURL}, env...), testproc.Binary(s.T, "revoker"), args...)
	p.Stdin.Close()
	code = p.Wait()
	return p.Stdout.String() + p.Stderr.String(), code
}

// Says runs a command that must end with this code and say each of the words.
func (s *Site) Says(code int, env, args []string, words ...string) string {
	s.T.Helper()
	out, got := s.Say(env, args...)
	if got != code {
		s.T.Errorf("revoker %v: exit code %d, want %d", args, got, code)
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			s.T.Errorf("revoker %v: no %q", args, word)
		}
	}
	if strings.Contains(out, "SECRET") {
		s.T.Errorf("revoker %v: it prints a secret", args)
	}
	if s.T.Failed() {
		s.T.Logf("revoker %v said:\n%s", args, out)
	}
	return out
}

// StartPublish runs `revoker publish` with standard input at its end.
func (s *Site) StartPublish(args ...string) *testproc.Process {
	s.T.Helper()
	p := testproc.Start(s.T, []string{"NATS_URL=" + s.NATSURL}, testproc.Binary(s.T, "revoker"), append([]string{"publish"}, args...)...)
	p.Stdin.Close()
	return p
}

// Status is what `revoker status` tells.
func (s *Site) Status(env ...string) (status admin.Status) {
	s.T.Helper()
	out, code := s.Say(env, "status", "--json")
	if err := json.Unmarshal([]byte(out), &status); err != nil || code != 0 {
		s.T.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	return status
}

// Check runs `revoker check` and returns the state of each finding, by the first words of its name.
func (s *Site) Check(code int, env []string, args ...string) map[string]admin.Finding {
	s.T.Helper()
	out := s.Says(code, s.Env(env...), append([]string{"check", "--json"}, args...))
	var answer struct{ Findings []admin.Finding }
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&answer); err != nil {
		s.T.Fatalf("%v in\n%s", err, out)
	}
	found := map[string]admin.Finding{}
	for _, f := range answer.Findings {
		found[f.Name] = f
		if f.State != admin.OK && f.State != admin.Skipped && f.Remedy == "" {
			s.T.Errorf("nothing says how to fix %+v", f)
		}
	}
	return found
}

// DLQ runs `revoker dlq` to its end, checks its exit code, and returns what it printed and its errors.
func (s *Site) DLQ(code int, args ...string) (out, errOut string) {
	s.T.Helper()
	return s.DLQAs("admin", code, args...)
}

// DLQAs is DLQ as another user than admin.
func (s *Site) DLQAs(user string, code int, args ...string) (out, errOut string) {
	s.T.Helper()
	p := testproc.Start(s.T, []string{"NATS_URL=" + s.NATSURL, "NATS_USER=" + user, "NATS_PASSWORD=" + user}, testproc.Binary(s.T, "revoker"), append([]string{"dlq"}, args...)...)
	if got := p.Wait(); got != code {
		s.T.Errorf("dlq %v: exit code %d, want %d\n%s%s", args, got, code, p.Stdout.String(), p.Stderr.String())
	}
	return p.Stdout.String(), p.Stderr.String()
}
