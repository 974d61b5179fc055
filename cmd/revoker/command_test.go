package main

import (
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"revoker/config"
	"revoker/worker/ops"
)

func TestBadConfigurationIsReportedWhole(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"REVOKER_CONCURRENCY=many", "REVOKER_TYPO=1", "NATS_USER=SECRET", "AUTHLETE_BASE_URL=http://SECRET.example.com"}, binary(t, "revoker"), "run")
	if code := p.wait(); code != exitConfiguration {
		t.Errorf("exit code %d, want %d", code, exitConfiguration)
	}
	text := p.stderr.String()
	for _, want := range []string{"REVOKER_CONCURRENCY:", "REVOKER_TYPO:", "NATS_USER, NATS_PASSWORD:", "AUTHLETE_BASE_URL: http://", "AUTHLETE_SERVICE_ID: required", "AUTHLETE_BEARER: required"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "SECRET") || strings.Contains(text, "many") {
		t.Errorf("a value is quoted:\n%s", text)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--help"}, 0, "revoker dev"},
		{[]string{"run", "--help"}, 0, "REVOKER_CONCURRENCY"},
		{[]string{"dev", "--help"}, 0, "--rate"},
		{[]string{"dlq"}, 0, "revoker dlq ls"},
		{[]string{"dlq", "nonsense"}, 2, "unknown command"},
		{[]string{"publish", "--help"}, 0, "session-ids.csv.gz"},
		{[]string{"completion", "bash"}, 0, "__start_revoker"},
		{[]string{"health", "--help"}, 0, "--live"},
		{[]string{"version"}, 0, "revoker "},
		{[]string{"status", "--help"}, 0, "--watch"},
		{[]string{"status", "--interval", "1ms"}, 2, "--interval: must be at least 200ms"},
		{[]string{"pause", "--for", "0s"}, 2, "--for: must be at least 1s"},
		{[]string{"pause", "now"}, 2, "unknown command"},
		{[]string{"setup", "--nonsense"}, 2, "unknown flag"},
		{[]string{"check", "--call", ""}, 2, "--call: "},
		{[]string{"nonsense"}, 2, "unknown command"},
		{[]string{"run", "--nonsense"}, 2, "unknown flag"},
		{[]string{"run", "argument"}, 2, "unknown command"},
		{[]string{"dev", "--rate", "-1"}, 2, "--rate: must be from 0 to 1000"},
		{[]string{"simulate", "--rate", "1001"}, 2, "--rate: must be from 0 to 1000"},
	} {
		var out, errOut strings.Builder
		if code := run(c.args, strings.NewReader(""), &out, &errOut); code != c.code {
			t.Errorf("revoker %v: exit code %d, want %d: %s", c.args, code, c.code, errOut.String())
		}
		if !strings.Contains(out.String()+errOut.String(), c.want) {
			t.Errorf("revoker %v: no %q in\n%s%s", c.args, c.want, out.String(), errOut.String())
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	for _, command := range append(newRootCommand().Commands(), newDLQCommand().Commands()...) {
		if command.Example == "" || command.Short == "" {
			t.Errorf("%s has none", command.Name())
		}
	}
}

var opsAddress = regexp.MustCompile(`"msg":"serving health endpoints","address":"([^"]+)"`)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newSite(t, simulator{})
	w := start(t, s.env(), binary(t, "revoker"), "run")
	waitFor(t, "health endpoints", func() bool { return opsAddress.MatchString(w.stderr.String()) })
	base := "http://" + opsAddress.FindStringSubmatch(w.stderr.String())[1]
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
		p := start(t, []string{"REVOKER_OPS_ADDR=" + strings.TrimPrefix(base, "http://")}, binary(t, "revoker"), append([]string{"health"}, args...)...)
		if code := p.wait(); code != want || !strings.Contains(p.stdout.String()+p.stderr.String(), words) {
			t.Errorf("health %v: exit code %d, want %d: %s%s", args, code, want, p.stdout.String(), p.stderr.String())
		}
	}
	asks(1, "not connected to NATS")
	asks(0, "alive", "--live")
	s.startNATS()
	waitFor(t, "readiness", func() bool { status, r := ready(); return status == 200 && r.Ready })
	asks(0, "consumer        ok")
	// The API takes no token any more.
	request, err := http.NewRequest(http.MethodPut, s.apiURL+"/sim/token", strings.NewReader(`"another"`))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode != 200 {
		t.Fatalf("%v %v", response, err)
	}
	s.publish(0, 1)
	waitFor(t, "misconfiguration", func() bool {
		status, r := ready()
		return status == 503 && slices.ContainsFunc(r.Conditions, func(c ops.Condition) bool { return strings.Contains(c.Reason, "AUTHLETE_BEARER") })
	})
	if response, err := http.Get(base + "/livez"); err != nil || response.StatusCode != 200 {
		t.Errorf("livez: %v %v", response, err)
	}
	asks(1, "configuration   FAILS: the answer has no action (HTTP 401, A001203): look at AUTHLETE_BEARER")
	w.signal(os.Interrupt)
	if code := w.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	asks(1, "connection refused", "--live")
}

var update = flag.Bool("update", false, "write what the documents should say of the configuration")

// The documents have what the configuration's declaration says. -update brings them up to date.
func TestDocumentsMatchTheConfiguration(t *testing.T) {
	t.Parallel()
	const document, example = "../../config/README.md", "../../deploy/revoker.env"
	var table, file strings.Builder
	if err := errors.Join(config.WriteMarkdown(&table), config.WriteEnvFile(&file)); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	stands := regexp.MustCompile(`(?m)(^\|.*\n)+`).ReplaceAllLiteralString(string(content), table.String())
	for path, want := range map[string]string{document: stands, example: file.String()} {
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) == want {
			continue
		}
		if !*update {
			t.Errorf("%s is not what config/config.go says: go test ./cmd/revoker -run TestDocumentsMatchTheConfiguration -update", path)
		} else if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Who may import whom, of revoker's own packages; and what only some rooms may import.
func TestRoomsImportWhatTheyMay(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"revoker/config":                     {},
		"revoker/events/internal/conn":       {"revoker/config"},
		"revoker/events":                     {"revoker/config", "revoker/events/internal/conn", "revoker/events/jsonobject"},
		"revoker/events/dlq":                 {"revoker/config", "revoker/events", "revoker/events/internal/conn"},
		"revoker/events/admin":               {"revoker/config", "revoker/events", "revoker/events/dlq", "revoker/events/internal/conn"},
		"revoker/events/internal/eventstest": {"revoker/config", "revoker/events", "revoker/events/embedded"},
		"revoker/events/jsonobject":          {},
		"revoker/events/eventfile":           {"revoker/events"},
		"revoker/events/embedded":            {},
		"revoker/worker/authlete":            {"revoker/config", "revoker/events/jsonobject"},
		"revoker/worker/authlete/sim":        {},
		"revoker/worker":                     {"revoker/config", "revoker/events", "revoker/worker/admission", "revoker/worker/authlete"},
		"revoker/worker/admission":           {},
		"revoker/worker/ops":                 {"revoker/config", "revoker/events", "revoker/events/admin", "revoker/events/dlq", "revoker/worker", "revoker/worker/admission", "revoker/worker/authlete"},
	}
	eventsRooms := []string{
		"revoker/events", "revoker/events/internal/conn", "revoker/events/dlq", "revoker/events/admin", "revoker/events/internal/eventstest",
	}
	only := map[string][]string{
		"github.com/nats-io/nats.go":                                      append([]string{"revoker/cmd/revoker", "revoker/worker"}, eventsRooms...), // for message headers
		"github.com/nats-io/nats.go/jetstream":                            eventsRooms,
		"github.com/synadia-io/orbit.go/natscontext":                      {"revoker/events/internal/conn"},
		"revoker/events/internal/eventstest":                              {}, // tests alone
		"github.com/nats-io/nats-server/v2/server":                        {"revoker/events/embedded", "revoker/events/internal/eventstest"},
		"github.com/go-json-experiment/json/jsontext":                     {"revoker/events/jsonobject"},
		"github.com/kelseyhightower/envconfig":                            {"revoker/config"},
		"github.com/cloudevents/sdk-go/v2/event":                          {"revoker/events"},
		"github.com/spf13/cobra":                                          {"revoker/cmd/revoker"},
		"github.com/prometheus/client_golang/prometheus":                  {"revoker/worker", "revoker/worker/ops"},
		"go.opentelemetry.io/otel/trace":                                  {"revoker/worker"},
		"go.opentelemetry.io/otel/sdk/trace":                              {"revoker/cmd/revoker"},
		"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": {"revoker/cmd/revoker"},
		"net/http": {"revoker/worker", "revoker/worker/authlete", "revoker/worker/authlete/sim", "revoker/worker/ops"},
	}
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "revoker/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); seen++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		rooms, known := allowed[p.ImportPath]
		if !known && p.ImportPath != "revoker/cmd/revoker" {
			t.Errorf("%s is a new room: say here whom it may import", p.ImportPath)
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "revoker/") && known && !slices.Contains(rooms, imported) {
				t.Errorf("%s must not import %s", p.ImportPath, imported)
			}
			if users := only[imported]; users != nil && !slices.Contains(users, p.ImportPath) {
				t.Errorf("%s must not import %s; only %v may", p.ImportPath, imported, users)
			}
		}
	}
	if seen != len(allowed)+1 {
		t.Errorf("%d packages, want %d", seen, len(allowed)+1)
	}
	// The real worker's way has nothing of the stand-ins: of the commands, dev and simulate alone may import them.
	for stand, users := range map[string][]string{
		"revoker/events/embedded":     {"./dev.go"},
		"revoker/worker/authlete/sim": {"./dev.go", "./samples.go", "./simulate.go"},
	} {
		found, err := exec.Command("grep", "-l", `"`+stand+`"`, "-r", ".", "--include=*.go", "--exclude=*_test.go").Output()
		importers := strings.Fields(string(found))
		slices.Sort(importers)
		if err != nil || !slices.Equal(importers, users) {
			t.Errorf("%s is imported by %s (%v)", stand, found, err)
		}
	}
}
