package systemtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// allowances are what an identity may publish to and subscribe to, as SECURITY.md says.
type allowances map[string]struct{ publish, subscribe []string }

// documentedAllowances reads the two tables of SECURITY.md. Each row has what is done, its subjects, and one cell for each identity.
func documentedAllowances(t *testing.T) allowances {
	t.Helper()
	list := allowances{}
	_, text, found := strings.Cut(testproc.ReadFile(t, "SECURITY.md"), "\n## Who may do what\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var identities []string
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(line, "| \n"), "|")
		if len(cells) < 3 || strings.HasPrefix(cells[0], "-") {
			continue
		}
		names := regexp.MustCompile("`([^`]+)`")
		if names.MatchString(cells[2]) { // a head
			identities = nil
			for _, cell := range cells[2:] {
				identities = append(identities, names.FindStringSubmatch(cell)[1])
			}
			continue
		}
		for i, cell := range cells[2:] {
			a := list[identities[i]]
			for _, subject := range names.FindAllStringSubmatch(cells[1], -1) {
				switch strings.TrimSpace(cell) {
				case "publish":
					a.publish = append(a.publish, subject[1])
				case "subscribe":
					a.subscribe = append(a.subscribe, subject[1])
				case "":
				default:
					t.Errorf("SECURITY.md: %q in %s", cell, line)
				}
			}
			list[identities[i]] = a
		}
	}
	if !found || len(list) != 5 {
		t.Fatalf("SECURITY.md has the identities %v", list)
	}
	return list
}

// covers reports whether every subject that a candidate stands for is one of the allowed.
func covers(allowed []string, candidate string) bool {
	return slices.ContainsFunc(allowed, func(pattern string) bool {
		have, want := strings.Split(candidate, "."), strings.Split(pattern, ".")
		for i, token := range want {
			switch {
			case token == ">":
				return len(have) > i
			case i >= len(have):
				return false
			case token != have[i] && (token != "*" || have[i] == ">"):
				return false
			}
		}
		return len(have) == len(want)
	})
}

// serverSubjects are the subjects that the source of the NATS server names in its constants: those of the JetStream API, of its
// acknowledgements and advisories, and of the system account. A later version's are tried by themselves.
func serverSubjects(t *testing.T) (subjects []string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/nats-io/nats-server/v2/server").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text := constant.StringVal(constant.MakeFromLiteral(literal.Value, token.STRING, 0))
			if regexp.MustCompile(`^(\$[A-Z]+|_[A-Z]+_)(\.[A-Za-z0-9_%*>-]+)+\.?$`).MatchString(text) {
				subjects = append(subjects, strings.TrimSuffix(text, "."))
			}
			return true
		})
	}
	slices.Sort(subjects)
	subjects = slices.Compact(subjects)
	for _, known := range []string{"$JS.API.STREAM.PURGE.%s", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.DIRECT.GET.%s.%s", "$SYS.REQ.SERVER.%s.RELOAD", "$JS.ACK.%s.%s"} {
		if !slices.Contains(subjects, known) {
			t.Fatalf("the source of the server does not name %s, but %d others", known, len(subjects))
		}
	}
	return subjects
}

// fill puts names into the gaps of a subject: each stream, then each consumer, into the first two; what may follow into the last.
func fill(pattern string) (subjects []string) {
	gap := regexp.MustCompile(`%[sd]|\*|>`)
	if !gap.MatchString(pattern) {
		return []string{pattern}
	}
	choices := [][]string{
		{"SESSIONS", "SESSIONS_DLQ", "SESSIONS_REVOKED", "OTHER"},
		{"revoker", "revoker-bulk", "other"},
		{"session.ended", "x"},
	}
	subjects = []string{pattern}
	for i := 0; gap.MatchString(subjects[0]); i++ {
		var next []string
		for _, subject := range subjects {
			at := gap.FindStringIndex(subject)
			for _, choice := range choices[min(i, len(choices)-1)] {
				next = append(next, subject[:at[0]]+choice+subject[at[1]:])
				if subject[at[0]:at[1]] == ">" {
					next = append(next, subject[:at[0]]+choice+".session.ended"+subject[at[1]:])
				}
			}
		}
		subjects = next
	}
	return subjects
}

// candidates are what each identity tries: whatever the server knows, whatever the project names, and what others use.
func candidates(t *testing.T, identities []string) (subjects []string) {
	t.Helper()
	patterns := append(serverSubjects(t),
		"$JS.ACK.*.*.1.1.1.1.1", "$JS.ACK.hub.hash.*.*.1.1.1.1.1", "$JS.FC.*.*.x", "$JS.hub.API.STREAM.PURGE.*", "$JS.API.CONSUMER.CREATE.*.*", "$JS.EVENT.ADVISORY.CONSUMER.DELETED.*.*", "$JS.EVENT.ADVISORY.STREAM.DELETED.*",
		"$JS.API.CONSUMER.MSG.NEXT.*.*.x", "$JS.API.CONSUMER.DELETE.*.x", "$JS.SNAPSHOT.RESTORE.*.x", "$KV.bucket.key", "$O.bucket.C.x", "$SRV.PING", "$MQTT.sub.x", "_R_.x", "_GR_.x.y.z", "_INBOX.x", "x", "x.y",
		"session", "session.ended", "session.ended.bulk", "session.ended.x", "session.ended.bulk.x", "session.revoked", "session.revoked.x", "session.revoked.x.y", "session.x",
		"dlq", "dlq.session", "dlq.session.ended", "dlq.session.ended.bulk", "dlq.session.ended.x", "revoker.workers", "revoker.workers.*.*", "revoker.workers.*.*.x", "revoker.x",
	)
	for _, identity := range identities {
		patterns = append(patterns, "_INBOX_"+identity, "_INBOX_"+identity+".x", "_INBOX_"+identity+".x.y")
	}
	for _, pattern := range patterns {
		subjects = append(subjects, fill(pattern)...)
	}
	slices.Sort(subjects)
	return slices.Compact(subjects)
}

// The server lets each identity do what SECURITY.md says, and nothing else of all that there is.
func TestEachIdentityCanDoNoMore(t *testing.T) {
	t.Parallel()
	allowed := documentedAllowances(t)
	var identities []string
	for identity := range allowed {
		identities = append(identities, identity)
	}
	subjects := candidates(t, identities)
	wild := append(slices.Clone(subjects), ">", "*", "*.*", "*.>", "_INBOX.>", "session.>", "session.*", "session.ended.>", "session.revoked.*", "dlq.>", "revoker.>", "revoker.workers.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$JS.EVENT.ADVISORY.>", "$SYS.>", "$KV.>")
	for _, identity := range identities {
		wild = append(wild, "_INBOX_"+identity+".>", "_INBOX_"+identity+".*")
	}
	t.Logf("%d subjects to publish to, and %d to subscribe to, for each of %v", len(subjects), len(wild), identities)
	for name, may := range allowed {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAccountsSite(t, testsite.Simulator{})
			user := name
			if name == "console" {
				user, s.Edit = "worker", withConsole
			}
			startOneServer(s)
			s.Says(0, append(identity("setup"), "REVOKER_RECEIPTS=true"), []string{"setup"})
			nc := dialAs(t, s, user)
			try := func(verb string, do func(string) error, subject string, allowed []string) {
				if got, want := !refuses(t, nc, verb, do, subject), covers(allowed, subject); got != want {
					t.Errorf("%s, %q: allowed %v, want %v", verb, subject, got, want)
				}
			}
			for _, subject := range subjects {
				try("Publish", func(subject string) error { return nc.Publish(subject, nil) }, subject, may.publish)
			}
			for _, subject := range wild {
				try("Subscription", func(subject string) error {
					sub, err := nc.SubscribeSync(subject)
					if err != nil {
						return err
					}
					defer func() { _ = sub.Unsubscribe() }() // one that was refused is gone
					return nc.Flush()
				}, subject, may.subscribe)
			}
		})
	}
}

// A stranger gets nowhere.
func TestAStrangerMayNotConnect(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	for _, options := range [][]nats.Option{nil, {nats.UserInfo("worker", "SECRET-publisher")}, {nats.UserInfo("admin", "admin")}, {nats.Token("SECRET-worker")}} {
		if _, err := nats.Connect(s.NATSURL, append(options, nats.Timeout(testproc.Timeout))...); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("a stranger: %v", err)
		}
	}
}

// withConsole adds the console page's permissions to the worker's.
func withConsole(text string) string { return strings.ReplaceAll(text, "# console: ", "") }

func dialAs(t *testing.T, s *testsite.Site, user string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.NATSURL, login(user), nats.Timeout(testproc.Timeout), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// refuses tells whether the server forbids it; it says so before it answers a ping. verb is its word for what is done.
func refuses(t *testing.T, nc *nats.Conn, verb string, do func(string) error, subject string) bool {
	t.Helper()
	if err := errors.Join(do(subject), nc.Flush()); err != nil {
		t.Fatal(subject, err)
	}
	err := nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), verb+` to "`+subject+`"`)
}

// The server sends an answer to whatever subject a request names, and asks nobody's permission for that. What a publisher names is
// in an account of its own, so that its answers change nothing: not even on a server without JetStream's strict mode, which would
// take one for a request to purge a stream.
func TestAPublishersAnswersReachNothing(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	s.Edit = func(text string) string {
		return strings.Replace(text, "\njetstream {", "\njetstream {\n  strict: false", 1)
	}
	startOneServer(s)
	s.Says(0, append(identity("setup"), "REVOKER_RECEIPTS=true"), []string{"setup"})
	publishAs(s, "publisher", 0, 5)
	state := func() (text string) {
		for _, name := range []string{"SESSIONS", "SESSIONS_DLQ", "SESSIONS_REVOKED"} {
			stream, err := s.JS.Stream(s.Deadline(), name)
			if err != nil {
				return err.Error()
			}
			info := stream.CachedInfo()
			text += fmt.Sprintf("%s: first %d, deleted %d, %d consumers, %+v\n", name, info.State.FirstSeq, info.State.NumDeleted, info.State.Consumers, info.Config)
			if name != "SESSIONS" {
				text += fmt.Sprintln(info.State.Msgs, "messages")
			}
		}
		for _, info := range []any{s.Info().Config, s.BulkInfo().Config} {
			text += fmt.Sprintf("%+v\n", info)
		}
		return text
	}
	before := state()
	nc := dialAs(t, s, "publisher")
	for _, answer := range candidates(t, []string{"publisher", "worker", "operator", "setup"}) {
		if err := nc.PublishRequest("session.ended", answer, []byte(`{"sessionId":"SECRET-session-9"}`)); err != nil {
			t.Fatal(answer, err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if code := publishAs(s, "publisher", 10, 11); code != 0 { // the last answer, after all others
		t.Errorf("publishing: exit code %d", code)
	}
	if after := state(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
