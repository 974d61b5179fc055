//go:build tools

package systemtest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// choose chooses a value as somebody does with the mouse.
func (b *tab) choose(selector, value string) {
	b.t.Helper()
	b.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.value = %q; e.dispatchEvent(new Event('change', {bubbles: true})); })()`, selector, value))
}

// query is what the page's address says.
func (b *tab) query() url.Values {
	b.t.Helper()
	values, err := url.ParseQuery(strings.TrimPrefix(b.eval(`location.search`).(string), "?"))
	if err != nil {
		b.t.Fatal(err)
	}
	return values
}

func (b *tab) filterSession(text string) {
	b.t.Helper()
	b.run(chromedp.SetValue("#filter [name=session]", text, chromedp.ByQuery))
	b.click("#filter [type=submit]")
}

// What is chosen on the page is in its address, and whoever opens that sees the same. A session ID is not in it.
func TestALinkShowsWhatWasChosen(t *testing.T) {
	t.Parallel()
	const hexID = "0123456789ab" // an ID that looks like a mask
	s := testsite.New(t, testsite.Simulator{Bad: 10})
	s.StartNATS()
	_, page := pageOf(s)
	s.Publish(0, 100)
	for _, payload := range []string{"SECRET no JSON", `{"sessionId":"` + hexID + `","serviceId":"999"}`} {
		if _, err := s.JS.Publish(s.Deadline(), "session.ended", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	s.WaitDone()
	b := openTab(t, page, 1400, 1000)
	b.waitText("#letters-count", "12 dead letters")
	if got := b.query(); len(got) != 0 {
		t.Errorf("an address before anything was chosen: %v", got)
	}
	b.click(`#groups [data-reason="CALLER_ERROR"]`)
	b.waitText("#letters-count", "10 dead letters match")
	b.choose("#filter [name=since]", "3600")
	b.choose("#tail-outcome", "dead-letter")
	b.filterSession("SECRET-session-7")
	b.waitText("#letters-count", "1 dead letter match")
	b.click("#letters-table tbody button.open")
	b.waitText("#detail-title", "Dead letter")
	mask := events.SessionID("SECRET-session-7").Mask()
	testproc.WaitFor(t, "the address", func() bool { return b.query().Get("letter") != "" })
	want := url.Values{"reason": {"CALLER_ERROR"}, "code": {"A503201"}, "since": {"3600"}, "session": {mask}, "outcome": {"dead-letter"}, "letter": b.query()["letter"]}
	if got := b.query(); got.Encode() != want.Encode() {
		t.Errorf("the address says %v, want %v", got, want)
	}

	link := b.eval(`location.href`).(string)
	c := openTab(t, link, 1400, 1000)
	c.waitText("#letters-count", "1 dead letter match")
	c.waitText("#detail-body", "(masked)")
	c.waitText("#detail-title", "Dead letter "+want.Get("letter"))
	if got := c.eval(`[...document.querySelectorAll('#filter select, #filter input, #tail-outcome')].map(e => e.value).join()`); got != "CALLER_ERROR,A503201,3600,"+mask+",dead-letter" {
		t.Errorf("the link's page has chosen %v", got)
	}
	testproc.WaitFor(t, "the dead letters that settled", func() bool {
		return c.eval(`(rows => rows.length === 12 && rows.every(r => r.cells[1].textContent === 'dead letter'))([...document.querySelectorAll('#settled tbody tr')])`) == true
	})
	c.picture("link")
	if c.click("#detail [data-close]"); c.query().Get("letter") != "" {
		testproc.WaitFor(t, "an address without the letter", func() bool { return c.query().Get("letter") == "" })
	}
	if c.query().Encode() == want.Encode() || c.query().Get("session") != mask {
		t.Errorf("after closing: %v", c.query())
	}

	// What somebody types may be a session ID, wherever it is typed.
	b.click("#detail [data-close]")
	b.click("#filter [type=reset]")
	b.waitText("#letters-count", "12 dead letters")
	b.filterSession(hexID)
	b.waitText("#letters-count", "1 dead letter match")
	if got := b.query().Get("session"); got != events.SessionID(hexID).Mask() {
		t.Errorf("the address has session %q, want the mask", got)
	}
	b.filterSession("ffffffffffff")
	b.waitText("#letters-empty", "No dead letter matches")
	b.run(chromedp.SetValue("#filter [name=code]", "SECRET-session-7", chromedp.ByQuery))
	b.filterSession("SECRET-session-nobody")
	b.waitText("#letters-empty", "No dead letter matches")
	if got := b.eval(`location.href`).(string); strings.Contains(got, "SECRET") || strings.Contains(got, "ffff") || strings.Contains(got, hexID) {
		t.Errorf("the address is %s", got)
	}
	// Nothing of an address that is no choice gets onto the page.
	d := openTab(t, page+"/?reason=X&since=7&code=%3Cb%3E&session=SECRET&outcome=y&letter=z", 1400, 1000)
	d.waitText("#letters-count", "12 dead letters")
	if got := d.eval(`[...document.querySelectorAll('#filter select, #filter input, #tail-outcome')].map(e => e.value).join('')`); got != "" {
		t.Errorf("chosen by a wrong address: %v", got)
	}
}

// One outcome can be followed, and the tail stopped to read it.
func TestTheTailIsFollowedAndStopped(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Bad: 2, Failing: 3, Latency: 5 * time.Millisecond})
	s.StartNATS()
	_, page := pageOf(s)
	b := openTab(t, page, 1400, 1000)
	b.waitText("#tail-note", "by worker ")
	s.Publish(0, 400)
	s.WaitDone()
	rows := func(outcome string, n int) func() bool {
		script := fmt.Sprintf(`(rows => rows.length === %d && rows.every(r => r.cells[1].textContent === %q))([...document.querySelectorAll('#settled tbody tr')])`, n, outcome)
		return func() bool { return b.eval(script) == true }
	}
	b.choose("#tail-outcome", "dead-letter")
	testproc.WaitFor(t, "the eight dead letters alone", rows("dead letter", 8))
	b.choose("#tail-outcome", "retry")
	testproc.WaitFor(t, "the retries alone", rows("retry", 3*12))
	b.picture("tail")
	b.audit("tail")
	b.choose("#tail-outcome", "misconfigured")
	b.waitText("#settled-empty", "None was settled with this outcome lately")
	b.choose("#tail-outcome", "dead-letter")
	testproc.WaitFor(t, "the eight dead letters again", rows("dead letter", 8))

	b.click("#tail-pause")
	b.waitText("#tail-pause", "Go on")
	s.Publish(400, 500)
	b.waitText("#tail-note", "stopped: 2 newer")
	if !rows("dead letter", 8)() {
		t.Error("the tail goes on although it was stopped")
	}
	b.audit("a stopped tail")
	b.click("#tail-pause")
	testproc.WaitFor(t, "what came meanwhile", rows("dead letter", 10))
	if text := b.text("#settled"); strings.Contains(text, "SECRET") {
		t.Error("a session ID is shown")
	}
}

// A group is replayed by one click and a confirmation, with a bar that tells how far it is.
func TestAGroupIsReplayed(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s)
	s.Bury(2000)
	b := openTab(t, page, 1400, 1000)
	b.waitText("#groups tbody", "RETRIES_EXHAUSTED")
	b.waitText("#letters-growth", "New: 2,000 in the last hour, 2,000 in the last day.")
	if b.eval(`[...document.querySelectorAll('[data-replay]')].every(button => button.hidden)`) != true {
		t.Error("a visitor is offered to replay")
	}
	b.signIn()
	b.audit("groups")
	b.click(`#groups tbody tr:nth-child(2) [data-replay]`)
	b.waitText("#confirm-title", "Replay 200 dead letters?")
	b.eval(`window.bars = []; new MutationObserver(() => bars.push($('confirm-bar').value)).observe($('confirm-bar'), {attributes: true})`)
	b.click("#confirm-yes")
	b.waitText("#confirm-title", "200 dead letters replayed")
	if b.eval(`bars.length > 1 && bars.at(-1) === 200 && $('confirm-bar').max === 200 && $('confirm-bar').hidden`) != true {
		t.Errorf("the bar: %v", b.eval(`JSON.stringify(bars)`))
	}
	b.click("#confirm-no")
	b.waitText("#letters-count", "1,800 dead letters")
	testproc.WaitFor(t, "the revocations", func() bool { return len(s.Sessions()) == 200 })
	if n := s.Stored("SESSIONS_DLQ"); n != 1800 {
		t.Errorf("%d dead letters are left", n)
	}
}
