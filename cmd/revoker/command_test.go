package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"revoker/cmd/revoker/complete"
	"revoker/cmd/revoker/dlq"
	"revoker/config"
)

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
		{[]string{"dlq", "nonsense"}, 2, "`revoker dlq --help` lists"},
		{[]string{"publish", "--help"}, 0, "session-ids.csv.gz"},
		{[]string{"completion", "bash"}, 0, "__start_revoker"},
		{[]string{"health", "--help"}, 0, "--live"},
		{[]string{"version"}, 0, "revoker "},
		{[]string{"status", "--help"}, 0, "--watch"},
		{[]string{"status", "--interval", "1ms"}, 2, "--interval: must be at least 200ms"},
		{[]string{"pause", "--for", "0s"}, 2, "--for: must be at least 1s"},
		{[]string{"session", "--help"}, 0, "--hash"},
		{[]string{"session", "--hash", "x", "id"}, 2, "--hash: give the hash or the ID"},
		{[]string{"session", "--service", "1", "--hash", "xyz"}, 2, "--hash: a session's hash has 32 hex digits"},
		{[]string{"session", "--service", "1", "--scan", "0s", "id"}, 2, "--scan: must be more than 0"},
		{[]string{"session", "--service", "1"}, 2, "sessionId is empty"},
		{[]string{"session", "id"}, 2, "set AUTHLETE_SERVICE_ID or --service"},
		{[]string{"pause", "now"}, 2, "unknown command"},
		{[]string{"setup", "--nonsense"}, 2, "unknown flag: --nonsense\n`revoker setup --help` lists"},
		{[]string{"pause", "--for", "5"}, 2, "`revoker pause --help` lists"},
		{[]string{"rn"}, 2, "Did you mean this?\n\trun\n`revoker --help` lists"},
		{[]string{"dlq", "ls", "--nonsense"}, 2, "`revoker dlq ls --help` lists"},
		{[]string{"dlq", "show"}, 2, "say which dead letter to show"},
		{[]string{"check", "--call", ""}, 2, "--call: "},
		{[]string{"receive", "--help"}, 0, "POST /backchannel-logout"},
		{[]string{"receive", "now"}, 2, "unknown command"},
		{[]string{"nonsense"}, 2, "unknown command \"nonsense\" for \"revoker\"\n`revoker --help` lists"},
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
	for _, command := range append(newRootCommand().Commands(), dlq.NewCommand().Commands()...) {
		if command.Example == "" || command.Short == "" {
			t.Errorf("%s has none", command.Name())
		}
	}
}

// The commands that connect to the configured server, and no others, have the flags of the NATS CLI. A new command has to choose.
func TestCommandsThatConnectHaveTheFlagsOfTheNATSCommandLine(t *testing.T) {
	t.Parallel()
	elsewhere := []string{"dev", "version", "health"}
	for _, cmd := range newRootCommand().Commands() {
		server, context := cmd.PersistentFlags().ShorthandLookup("s"), cmd.PersistentFlags().Lookup("context")
		if has := server != nil && server.Name == "server" && context != nil; has == slices.Contains(elsewhere, cmd.Name()) {
			t.Errorf("%s has the flags: %v", cmd.Name(), has)
		}
	}
}

// The shell is offered the values of flags that take one of a few.
func TestCompletionOfValues(t *testing.T) {
	t.Parallel()
	const reasons = "CALLER_ERROR\nINVALID_EVENT\nRETRIES_EXHAUSTED\n:4\n"
	for args, want := range map[string]string{
		"dlq ls --reason":     reasons,
		"dlq replay --reason": reasons,
		"dlq rm --reason":     reasons,
		"publish --format":    "auto\nlines\ncsv\njson\n:4\n",
		"status --server":     ":4\n",
	} {
		if got := said(t, append(append([]string{"__complete"}, strings.Fields(args)...), "")...); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	if lanes, _ := complete.Lanes(nil, nil, ""); !slices.Equal(lanes, []string{"live", "bulk", "all"}) {
		t.Errorf("the lanes are %v", lanes)
	}
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
	const commands = "revoker/cmd/revoker/"
	allowed := map[string][]string{
		commands + "bench":                   {},
		commands + "complete":                {"revoker/config", "revoker/events", "revoker/events/eventfile"},
		commands + "connection":              {commands + "complete", commands + "exit", commands + "terminal", "revoker/config", "revoker/events"},
		commands + "descriptors":             {},
		commands + "dlq":                     {commands + "complete", commands + "connection", commands + "exit", commands + "lane", commands + "terminal", "revoker/config", "revoker/events", "revoker/events/dlq"},
		commands + "exit":                    {"revoker/config"},
		commands + "lane":                    {commands + "complete", commands + "exit", "revoker/config", "revoker/events"},
		commands + "memory":                  {},
		commands + "publish":                 {commands + "complete", commands + "connection", commands + "exit", commands + "lane", commands + "memory", commands + "terminal", "revoker/config", "revoker/events", "revoker/events/eventfile"},
		commands + "receive":                 {commands + "connection", commands + "exit", commands + "memory", commands + "terminal", "revoker/config", "revoker/events", "revoker/events/receive"},
		commands + "systemtest":              {},
		commands + "chaos":                   {},
		commands + "terminal":                {"revoker/config"},
		"revoker/internal/testport":          {},
		"revoker/internal/testproc":          {"revoker/events/embedded", "revoker/internal/testport"},
		"revoker/internal/testleak":          {"revoker/internal/testproc"},
		"revoker/internal/testasyncapi":      {"revoker/internal/testproc"},
		"revoker/internal/testissuer":        {},
		"revoker/internal/testsite":          {"revoker/events", "revoker/events/admin", "revoker/events/peer", "revoker/internal/testport", "revoker/internal/testproc", "revoker/worker/authlete/sim"},
		"revoker/config":                     {},
		"revoker/events/internal/conn":       {"revoker/config"},
		"revoker/events":                     {"revoker/config", "revoker/events/internal/conn", "revoker/events/jsonobject"},
		"revoker/events/peer":                {"revoker/config", "revoker/events/internal/conn"},
		"revoker/events/dlq":                 {"revoker/config", "revoker/events", "revoker/events/internal/conn"},
		"revoker/events/admin":               {"revoker/config", "revoker/events", "revoker/events/dlq", "revoker/events/internal/conn", "revoker/events/peer"},
		"revoker/events/sessions":            {"revoker/config", "revoker/events", "revoker/events/admin", "revoker/events/dlq", "revoker/events/internal/conn", "revoker/events/jsonobject", "revoker/events/peer"},
		"revoker/events/internal/eventstest": {"revoker/config", "revoker/events", "revoker/events/embedded", "revoker/events/internal/conn", "revoker/internal/testleak", "revoker/internal/testproc"},
		"revoker/events/jsonobject":          {},
		"revoker/events/eventfile":           {"revoker/events"},
		"revoker/events/embedded":            {},
		"revoker/events/receive":             {"revoker/config", "revoker/events", "revoker/events/receive/issuer", "revoker/events/receive/logouttoken"},
		"revoker/events/receive/issuer":      {"revoker/config", "revoker/events/receive/logouttoken"},
		"revoker/events/receive/logouttoken": {"revoker/events", "revoker/events/jsonobject"},
		"revoker/worker/authlete":            {"revoker/config", "revoker/events/jsonobject"},
		"revoker/worker/authlete/sim":        {},
		"revoker/worker":                     {"revoker/config", "revoker/events", "revoker/events/peer", "revoker/worker/admission", "revoker/worker/authlete", "revoker/worker/retry"},
		"revoker/worker/admission":           {"revoker/worker/retry"},
		"revoker/worker/retry":               {},
		"revoker/worker/ops":                 {"revoker/config", "revoker/events", "revoker/events/admin", "revoker/events/peer", "revoker/worker", "revoker/worker/admission", "revoker/worker/authlete", "revoker/worker/ops/console", "revoker/worker/ops/history"},
		"revoker/worker/ops/console":         {"revoker/config", "revoker/events", "revoker/events/admin", "revoker/events/dlq", "revoker/events/peer", "revoker/events/sessions", "revoker/worker", "revoker/worker/admission", "revoker/worker/authlete", "revoker/worker/ops/fleet", "revoker/worker/ops/history"},
		"revoker/worker/ops/fleet":           {"revoker/config", "revoker/events", "revoker/events/admin", "revoker/events/peer", "revoker/worker/ops/history"},
		"revoker/worker/ops/history":         {"revoker/config", "revoker/events", "revoker/events/peer", "revoker/worker", "revoker/worker/authlete"},
	}
	eventsRooms := []string{
		"revoker/events", "revoker/events/internal/conn", "revoker/events/dlq", "revoker/events/admin", "revoker/events/sessions", "revoker/events/peer",
		"revoker/events/internal/eventstest",
	}
	only := map[string][]string{
		"github.com/nats-io/nats.go":                 append([]string{commands + "dlq", "revoker/internal/testsite", "revoker/worker"}, eventsRooms...), // for message headers
		"github.com/nats-io/nats.go/jetstream":       append([]string{"revoker/internal/testsite"}, eventsRooms...),
		"github.com/synadia-io/orbit.go/natscontext": {"revoker/events/internal/conn"},
		"testing":                                                         {"revoker/internal/testasyncapi", "revoker/internal/testissuer", "revoker/internal/testleak", "revoker/internal/testport", "revoker/internal/testproc", "revoker/internal/testsite", "revoker/events/internal/eventstest"},
		"revoker/internal/testport":                                       {"revoker/internal/testproc", "revoker/internal/testsite"},                                                                        // and tests
		"revoker/internal/testproc":                                       {"revoker/internal/testasyncapi", "revoker/internal/testleak", "revoker/internal/testsite", "revoker/events/internal/eventstest"}, // and tests
		"revoker/internal/testleak":                                       {"revoker/events/internal/eventstest"},                                                                                            // and tests
		"revoker/internal/testasyncapi":                                   {},                                                                                                                                // tests alone
		"revoker/internal/testissuer":                                     {},                                                                                                                                // tests alone
		"revoker/internal/testsite":                                       {},                                                                                                                                // tests alone
		"revoker/events/internal/eventstest":                              {},                                                                                                                                // tests alone
		"github.com/nats-io/nats-server/v2/server":                        {"revoker/events/embedded", "revoker/events/internal/eventstest"},
		"github.com/go-json-experiment/json/jsontext":                     {"revoker/events/jsonobject"},
		"github.com/kelseyhightower/envconfig":                            {"revoker/config"},
		"github.com/cloudevents/sdk-go/v2/event":                          {}, // tests alone
		"github.com/spf13/cobra":                                          {"revoker/cmd/revoker", commands + "complete", commands + "connection", commands + "dlq", commands + "lane", commands + "publish", commands + "receive"},
		"github.com/go-jose/go-jose/v4":                                   {"revoker/events/receive/issuer", "revoker/events/receive/logouttoken", "revoker/internal/testissuer"},
		"github.com/prometheus/client_golang/prometheus":                  {"revoker/worker", "revoker/worker/ops", "revoker/events/receive", commands + "receive"},
		"go.opentelemetry.io/otel/trace":                                  {"revoker/worker"},
		"go.opentelemetry.io/otel/sdk/trace":                              {"revoker/cmd/revoker"},
		"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": {"revoker/cmd/revoker"},
		"net/http": {"revoker/events/receive", "revoker/events/receive/issuer", "revoker/internal/testissuer", "revoker/internal/testsite", "revoker/worker", "revoker/worker/authlete", "revoker/worker/authlete/sim", "revoker/worker/ops", "revoker/worker/ops/console"},
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
