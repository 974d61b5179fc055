//go:build tools

package systemtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/ops/history"
)

// An operator sees all workers at any of them, one that breaks, and one that ends.
func TestThePageShowsTheFleet(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Latency: 20 * time.Millisecond, Bad: 2, Failing: 3})
	s.StartNATS()
	first, page := pageOf(s)
	_, other := pageOf(s)
	b := openTab(t, page, 1400, 1000)
	b.waitText("#workers-note", "2 workers answer")
	b.waitText("#workers-table tfoot", "all 2")
	b.waitText("#breaker-worker", "of 2 workers")
	if n := b.eval(`document.querySelectorAll('#workers-table tr.own').length`); n != 1.0 {
		t.Errorf("%v workers serve the page", n)
	}
	s.Publish(0, 3000)
	b.waitText("#plots-note", "of all 2 workers together")
	testproc.WaitFor(t, "revocations of both", b.drew("plot-rate", 0, "v > 0"))
	s.WaitDone()
	s.StartWorker("AUTHLETE_BEARER=another-token")
	publishSlowly(s) // so that it gets one too, whenever that is
	b.waitText("#workers-table tbody", "AUTHLETE_BEARER")
	b.waitText("#breaker", "open in 1 of 3")
	b.picture("fleet")
	b.audit("fleet")
	b.scheme("dark")
	b.picture("fleet-dark")
	b.audit("fleet, dark")
	b.scheme("light")
	b.run(chromedp.EmulateViewport(1024, 800))
	for what, holds := range map[string]string{
		"a wide table scrolls by itself": `(() => { const th = document.querySelector('#workers-table th'); th.style.minWidth = '1100px';
			const holds = document.documentElement.scrollWidth <= window.innerWidth; th.style.minWidth = ''; return holds; })()`,
		"a figure is one line": `[...document.querySelectorAll('.figure')].every(f => f.offsetHeight < 50)`,
	} {
		if b.eval(holds) != true {
			t.Errorf("at 1024 pixels it does not hold that %s", what)
		}
	}
	b.run(chromedp.EmulateViewport(390, 844))
	for _, overflow := range []string{
		`document.documentElement.scrollWidth > window.innerWidth`,
		`[...document.querySelectorAll('td')].some(td => td.getBoundingClientRect().right > window.innerWidth)`,
	} {
		testproc.WaitFor(t, "page as wide as a phone, without "+overflow, func() bool { return b.eval(overflow) == false }) // plots follow with the next frame
	}
	b.picture("fleet-phone")
	b.audit("fleet, on a phone")

	// A worker of an older version is shown with what it tells.
	const old = `{"name":"an-old-host","version":"v0.0.9","started":"2026-01-02T03:04:05Z","inFlight":2,"inHand":2,"breaker":"half-open","reason":"it probes"}`
	if _, err := s.JS.Conn().Subscribe("revoker.workers.SESSIONS.revoker", func(msg *nats.Msg) { _ = msg.Respond([]byte(old)) }); err != nil {
		t.Fatal(err)
	}
	c := openTab(t, other, 1400, 1000)
	c.waitText("#workers-note", "4 workers answer")
	c.waitText("#plots-note", "of the 3 workers that tell, of 4")
	row := c.eval(`[...[...document.querySelectorAll('#workers-table tbody tr')].find(tr => tr.cells[0].textContent === 'an-old-host').cells].map(td => td.textContent).join('|').replace(/\|[0-9]+ d [0-9]+ h\|/, '|up|')`)
	if row != "an-old-host|v0.0.9|up|2|–||–|–|half-open|it probes, next probe is out" && row != "an-old-host|v0.0.9|up|2|–|–|–|–|half-open|it probes, next probe is out" {
		t.Errorf("an older worker: %v", row)
	}
	first.Signal(os.Kill)
	c.waitText("#workers-note", "3 workers answer, 1 no longer")
	c.waitText("#workers-table tbody tr.silent", "no answer since ")
	c.picture("fleet-silent")
	c.audit("a worker that is gone")
	if text := c.text("main"); strings.Contains(text, "SECRET") {
		t.Error("a session ID is shown")
	}
	for i, cause := range history.Causes {
		if got := c.eval(fmt.Sprintf("causes[%d][0]", i)); got != cause {
			t.Errorf("cause %d is %v on the page, want %s", i, got, cause)
		}
	}
}

// A worker whose account may not ask the others shows itself, and says so.
func TestThePageSaysThatItMayNotAsk(t *testing.T) {
	t.Parallel()
	s := newAccountsSite(t, testsite.Simulator{})
	startOneServer(s)
	s.Says(0, identity("setup"), []string{"setup"})
	_, page := pageOf(s, identity("worker")...)
	pageOf(s, identity("worker")...)
	b := openTab(t, page, 1400, 1000)
	b.waitText("#workers-problem", "You see this worker alone. Asking the workers: publishing to revoker.workers.SESSIONS.revoker: the account's permissions do not allow it. "+
		"What a worker must be allowed stands in deploy/nats/README.md.")
	b.waitText("#workers-note", "1 worker answers")
	b.waitText("#breaker", "closed")
	b.waitText("#plots-note", "of this worker")
	b.picture("may-not-ask")
	b.audit("may not ask")
}
