package systemtest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"revoker/cmd/revoker/exit"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/ops"
)

func TestBadConfigurationIsReportedWhole(t *testing.T) {
	t.Parallel()
	p := testproc.Start(t, []string{"REVOKER_CONCURRENCY=many", "REVOKER_TYPO=1", "NATS_USER=SECRET", "AUTHLETE_BASE_URL=http://SECRET.example.com"}, testproc.Binary(t, "revoker"), "run")
	if code := p.Wait(); code != exit.CodeConfiguration {
		t.Errorf("exit code %d, want %d", code, exit.CodeConfiguration)
	}
	text := p.Stderr.String()
	for _, want := range []string{"REVOKER_CONCURRENCY:", "REVOKER_TYPO:", "NATS_USER, NATS_PASSWORD:", "AUTHLETE_BASE_URL: http://", "AUTHLETE_SERVICE_ID: required", "AUTHLETE_BEARER: required"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "SECRET") || strings.Contains(text, "many") {
		t.Errorf("a value is quoted:\n%s", text)
	}
}

var opsAddress = regexp.MustCompile(`"msg":"serving health endpoints","address":"([^"]+)"`)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	// A port of its own: nobody else listens there once the worker has ended.
	w := testproc.Start(t, s.Env("REVOKER_OPS_ADDR="+testport.Address(t)), testproc.Binary(t, "revoker"), "run")
	base := opsURL(t, w)
	ready := func() (int, ops.Readiness) {
		response, err := http.Get(base + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var r ops.Readiness
		if err := json.NewDecoder(response.Body).Decode(&r); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, r
	}
	if status, r := ready(); status != 503 || r.Ready || r.Conditions[0].Reason != "not connected to NATS" {
		t.Errorf("without NATS: %d %+v", status, r)
	}
	asks := func(want int, words string, args ...string) {
		t.Helper()
		p := testproc.Start(t, []string{"REVOKER_OPS_ADDR=" + strings.TrimPrefix(base, "http://")}, testproc.Binary(t, "revoker"), append([]string{"health"}, args...)...)
		if code := p.Wait(); code != want || !strings.Contains(p.Stdout.String()+p.Stderr.String(), words) {
			t.Errorf("health %v: exit code %d, want %d: %s%s", args, code, want, p.Stdout.String(), p.Stderr.String())
		}
	}
	asks(1, "not connected to NATS")
	asks(1, `"reason": "not connected to NATS"`, "--json")
	asks(0, "alive", "--live")
	s.StartNATS()
	testproc.WaitFor(t, "readiness", func() bool { status, r := ready(); return status == 200 && r.Ready })
	asks(0, "consumer        ok")
	asks(0, `"ready": true`, "--json")
	asks(0, `"alive": true`, "--live", "--json")
	// The API takes no token any more.
	request, err := http.NewRequest(http.MethodPut, s.APIURL+"/sim/token", strings.NewReader(`"another"`))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode != 200 {
		t.Fatalf("%v %v", response, err)
	}
	s.Publish(0, 1)
	testproc.WaitFor(t, "misconfiguration", func() bool {
		status, r := ready()
		return status == 503 && slices.ContainsFunc(r.Conditions, func(c ops.Condition) bool { return strings.Contains(c.Reason, "AUTHLETE_BEARER") })
	})
	if response, err := http.Get(base + "/livez"); err != nil || response.StatusCode != 200 {
		t.Errorf("livez: %v %v", response, err)
	}
	asks(1, "configuration   FAILS: the API rejected the token (HTTP 401, A001203): look at AUTHLETE_BEARER")
	w.Signal(os.Interrupt)
	if code := w.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	asks(1, "connection refused", "--live")
}

// A worker with a wrong token never becomes ready, although no event comes: so a rolling update keeps the good ones. It is ready
// once the token is right. One whose API is away is ready, with a warning. Neither opens its circuit breaker.
func TestReadinessAsksTheAPIBeforeAnyEvent(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("SECRET-wrong-token")
	refused := s.StartWorker("AUTHLETE_BEARER=", "AUTHLETE_BEARER_FILE="+token)
	away := s.StartWorker("AUTHLETE_BASE_URL=http://127.0.0.1:1")
	says := func(p *testproc.Process, code int, words string) func() bool {
		return func() bool {
			out, got := s.Say([]string{"REVOKER_OPS_ADDR=" + strings.TrimPrefix(pageAddress(t, p), "http://")}, "health")
			return got == code && strings.Contains(out, words)
		}
	}
	testproc.WaitFor(t, "a refusal", says(refused, 1, "AUTHLETE_BEARER"))
	testproc.WaitFor(t, "readiness without the API", says(away, 0, "token           warning: the logout API has not said"))
	write(testsite.Token)
	testproc.WaitFor(t, "readiness with the right token", says(refused, 0, "configuration   ok"))
	if log := refused.Stderr.String() + away.Stderr.String(); strings.Contains(log, "circuit breaker") || strings.Contains(log, "SECRET") {
		t.Errorf("the log:\n%s", log)
	}
}
