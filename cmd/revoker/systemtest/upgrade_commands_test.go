//go:build tools

package systemtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"revoker/events"
	"revoker/events/admin"
	"revoker/internal/testproc"
)

// say runs a command of one version, which must end with this code, and returns what it printed. The input is that of the command.
func (u *upgrade) say(p program, code int, input string, args ...string) string {
	u.T.Helper()
	w := testproc.Start(u.T, u.Env(settings()...), p.path, args...)
	fmt.Fprint(w.Stdin, input)
	w.Stdin.Close()
	if got := w.Wait(); got != code {
		u.T.Errorf("%s of %s: exit code %d, want %d: %s%s", strings.Join(args, " "), p.name, got, code, w.Stdout.String(), w.Stderr.String())
	}
	if strings.Contains(w.Stdout.String()+w.Stderr.String(), "SECRET") {
		u.T.Errorf("%s of %s prints a session ID", strings.Join(args, " "), p.name)
	}
	return w.Stdout.String()
}

// look asks the commands of both versions about the fleet. Neither finds anything wrong with what the other one created.
func (u *upgrade) look(both ...program) {
	u.T.Helper()
	revoked, rejected := 50, 5 // as Simulator says
	testproc.WaitFor(u.T, "a receipt and a dead letter", func() bool {
		return receipts(u.Site)[receiptSubject(session(revoked))] && len(u.letters()[session(rejected)]) > 0
	})
	for _, p := range both {
		var status admin.Status
		testproc.WaitFor(u.T, "answers of all workers", func() bool { // one that stands still for a moment answers too late
			status = u.status(p)
			return len(status.Workers) == len(u.workers)
		})
		older := 0
		for _, w := range status.Workers {
			if w.Version == u.before.name {
				older++
			}
		}
		if want := u.older(); older != want {
			u.T.Errorf("status of %s: %d workers of the version before, want %d", p.name, older, want)
		}
		if len(status.Unknown) > 0 || status.DeadLetters == nil || status.DeadLetters.Total == 0 {
			u.T.Errorf("status of %s: unknown %v, dead letters %+v", p.name, status.Unknown, status.DeadLetters)
		}
		u.say(p, 0, "", "status")
		u.say(p, 0, "", "dlq", "ls")
		u.say(p, 0, session(revoked), "session")
		u.say(p, 4, session(rejected), "session")
		u.say(p, 0, "", "check")
		if out := u.say(p, 0, "", "setup", "--dry-run"); !strings.Contains(out, "everything is as configured") {
			u.T.Errorf("setup of %s would change something:\n%s", p.name, out)
		}
	}
}

// older counts the workers of the version before.
func (u *upgrade) older() (n int) {
	for _, w := range u.workers {
		if w.Cmd.Path == u.before.path {
			n++
		}
	}
	return n
}

func (u *upgrade) status(p program) (status admin.Status) {
	u.T.Helper()
	if err := json.Unmarshal([]byte(u.say(p, 0, "", "status", "--json")), &status); err != nil {
		u.T.Fatalf("status of %s: %v", p.name, err)
	}
	return status
}

// replay sends one event again that the API refuses. It becomes a letter again, which names the earlier one.
func (u *upgrade) replay(p program) {
	u.T.Helper()
	var list struct {
		Letters []struct{ Sequence uint64 }
	}
	if err := json.Unmarshal([]byte(u.say(p, 0, "", "dlq", "ls", "--reason", events.ReasonCallerError, "--limit", "1", "--json")), &list); err != nil || len(list.Letters) != 1 {
		u.T.Fatalf("dlq ls of %s: %v, %+v", p.name, err, list)
	}
	sequence := strconv.FormatUint(list.Letters[0].Sequence, 10)
	u.say(p, 0, "", "dlq", "replay", sequence, "--yes")
	testproc.WaitFor(u.T, "the letter of the replay", func() bool { return slices.Contains(u.replays(), "SESSIONS_DLQ/"+sequence) })
}

// replays are the letters that were replayed and came back.
func (u *upgrade) replays() (names []string) {
	u.T.Helper()
	stream, err := u.JS.Stream(u.Deadline(), "SESSIONS_DLQ")
	if err != nil {
		u.T.Fatal(err)
	}
	for sequence := stream.CachedInfo().State.FirstSeq; sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		if msg, err := stream.GetMsg(u.Deadline(), sequence); err == nil {
			names = append(names, msg.Header.Get(events.HeaderReplayOf))
		}
	}
	return names
}

// pause stops the fleet by one version's command and lets it go on by the other's.
func (u *upgrade) pause(by, other program) {
	u.T.Helper()
	u.say(by, 0, "", "pause")
	if !u.status(other).Paused {
		u.T.Errorf("%s does not see the pause of %s", other.name, by.name)
	}
	u.say(other, 0, "", "resume")
	if u.status(by).Paused {
		u.T.Errorf("%s sees a pause that %s has ended", by.name, other.name)
	}
}
