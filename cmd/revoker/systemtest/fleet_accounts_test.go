package systemtest

import (
	"encoding/json"
	"strings"
	"testing"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/ops/fleet"
)

// shown is what the feed of a page tells of the workers.
type shown struct {
	Workers        []fleet.Worker
	WorkersProblem string
	Told           int
}

func (b *browser) workers() shown {
	b.t.Helper()
	var message struct{ State shown }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(b.first(), "data: ")), &message); err != nil {
		b.t.Fatal(err)
	}
	return message.State
}

// With the lines for the console page in deploy/nats/accounts.conf, each worker's page shows all workers. The one line about workers is
// enough for that. Without it the page shows one, and says what is missing. The operator is always answered.
func TestWhoMaySeeTheOtherWorkers(t *testing.T) {
	t.Parallel()
	const workersLine = `"revoker.workers.SESSIONS.revoker", "_INBOX_worker.>"`
	for name, line := range map[string]string{"all lines of the console": "", "the line about workers": workersLine, "no line": "none"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAccountsSite(t, testsite.Simulator{})
			s.Edit = func(text string) string { return strings.ReplaceAll(text, "# console: "+line, line) }
			console := line != "none"
			startOneServer(s)
			s.Says(0, identity("setup"), []string{"setup"})
			var pages []*browser
			var processes []*testproc.Process
			for range 2 {
				p := s.StartWorker(identity("worker")...)
				processes = append(processes, p)
				pages = append(pages, newBrowser(t, pageAddress(t, p)))
			}
			for _, page := range pages {
				if console {
					testproc.WaitFor(t, "both workers", func() bool {
						got := page.workers()
						return len(got.Workers) == 2 && got.Told == 2 && got.WorkersProblem == ""
					})
					continue
				}
				testproc.WaitFor(t, "word of what is missing", func() bool {
					return strings.Contains(page.workers().WorkersProblem, "publishing to revoker.workers.SESSIONS.revoker: the account's permissions do not allow it")
				})
				if got := page.workers(); len(got.Workers) != 1 || !got.Workers[0].Own {
					t.Errorf("%+v", got.Workers)
				}
			}
			testproc.WaitFor(t, "both workers' answers to the operator", func() bool { return len(s.Status(identity("operator")...).Workers) == 2 })
			for _, p := range processes {
				if log := strings.ToLower(p.Stderr.String()); console && strings.Contains(log, "permission") {
					t.Errorf("a worker lacks a permission:\n%s", log)
				}
			}
		})
	}
}
