package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/events/sessions"
	"revoker/internal/testproc"
)

// search asks the page for a session.
func (d *desk) search(as *http.Client, request map[string]string) (int, sessions.Answer) {
	d.t.Helper()
	status, text := d.ask(as, "POST", "/console/session", request)
	var found sessions.Answer
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		d.t.Fatal(err)
	}
	if strings.Contains(text, "SECRET") {
		d.t.Errorf("the answer has the session ID: %s", text)
	}
	return status, found
}

func TestASessionIsFoundByThoseWhoAreSignedIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id := events.SessionID("SECRET-s")
	if _, err := d.js.PublishMsg(d.deadline(), &nats.Msg{Subject: "session.ended", Data: events.Event{SessionID: id}.Encode()}); err != nil {
		t.Fatal(err)
	}
	hash := events.SessionHash("1234567890", id)
	for _, request := range []map[string]string{{"session": string(id)}, {"hash": hash}} {
		// A search ends after two seconds. On a machine that stands still it may have found nothing by then, and says so.
		var status int
		var found sessions.Answer
		testproc.WaitFor(t, "a whole search", func() bool {
			status, found = d.search(d.operator, request)
			return found.Event != nil || found.Events.Whole()
		})
		if status != http.StatusOK || found.State != sessions.Queued || found.Session != hash || found.Event.Sequence != 1 {
			t.Errorf("%d, %+v", status, found)
		}
	}
	for name, c := range map[string]struct {
		as      *http.Client
		request map[string]string
		want    int
	}{
		"a visitor":            {d.visitor, map[string]string{"session": "s"}, http.StatusUnauthorized},
		"no ID":                {d.operator, map[string]string{}, http.StatusBadRequest},
		"what is not a hash":   {d.operator, map[string]string{"hash": "xyz"}, http.StatusBadRequest},
		"of another service":   {d.operator, map[string]string{"session": string(id), "service": "555"}, http.StatusOK},
		"what is not a member": {d.operator, map[string]string{"mask": "x"}, http.StatusBadRequest},
	} {
		status, found := d.search(c.as, c.request)
		if status != c.want || status == http.StatusOK && found.State != sessions.NotFound {
			t.Errorf("%s: %d, %+v, want %d", name, status, found, c.want)
		}
	}
	d.console.searches <- struct{}{} // one is running
	if status, _ := d.search(d.operator, map[string]string{"session": "s"}); status != http.StatusServiceUnavailable {
		t.Errorf("beside another search: %d", status)
	}
}
