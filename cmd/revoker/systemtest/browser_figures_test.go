//go:build tools

package systemtest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"revoker/events/admin"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// The page of one worker shows the circuit breakers of the others.
func TestThePageListsTheWorkers(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Latency: testproc.Timeout})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_CONCURRENCY=1", "REVOKER_REQUEST_TIMEOUT=5m")
	b := openTab(t, page, 1400, 1000)
	b.waitText("#workers-note", "1 worker answers")
	s.Publish(0, 20)
	testproc.WaitFor(t, "a call", func() bool { return s.Calls() == 1 }) // of the worker with the page; it keeps that one busy
	s.StartWorker("AUTHLETE_BEARER=another-token")
	b.waitText("#workers-table tbody", "AUTHLETE_BEARER")
	b.waitText("#breaker", "open in 1 of 2")
	b.waitText("#breaker-times", "next probe")
	testproc.WaitFor(t, "since when it is open", func() bool { // it is half-open now and then
		return b.eval(`[...document.querySelectorAll('#workers-table tbody tr')].some(tr => tr.cells[8].textContent === 'open' && /for [0-9]+ s, next probe/.test(tr.cells[9].textContent) && /since 2.*Z /.test(tr.cells[9].firstChild.title))`) == true
	})
	b.picture("workers")
	b.audit("workers")
}

// The page says of the time that is left what the command says, whatever the course of the queue.
func TestThePageSaysWhatTheCommandSays(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s)
	b := openTab(t, page, 1400, 1000)
	for _, course := range testsite.Outlooks() {
		var h admin.History
		for _, status := range course.Statuses {
			h.Add(status)
		}
		if got := b.eval(fmt.Sprintf("outlook(%s, %s)", encoded(t, h.Last()), encoded(t, h.Rates()))); got != course.Page {
			t.Errorf("%s: %q, want %q", course.Name, got, course.Page)
		}
	}
	two, seven := 2, 7
	for want, status := range map[string]admin.Status{
		"2/7": {Backlog: 5, Unsettled: 20, InFlight: &two, Retrying: &seven}, // the others are being acknowledged
		"?/?": {Backlog: 5, Unsettled: 20, OpenPulls: 3},
	} {
		figures := `(() => { showFigures(%s, null); return $('inflight').textContent + '/' + $('retrying').textContent; })()`
		if got := b.eval(fmt.Sprintf(figures, encoded(t, status))); got != want {
			t.Errorf("in flight and waiting: %v, want %s", got, want)
		}
	}
	const want = "CALLER_ERROR 9,855, RETRIES_EXHAUSTED 145 (of the newest 10,000)"
	if got := b.eval(`reasons({total: 100303, counted: 10000, reasons: {RETRIES_EXHAUSTED: 145, CALLER_ERROR: 9855}})`); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Discarding many letters takes typing how many. While letters are replayed or discarded, the browser asks before it leaves the page.
func TestDiscardingManyTakesTypingTheCount(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Bad: 100})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_CALLER_ERROR_BRAKE=0")
	s.Publish(0, 150)
	s.WaitDone()
	b := openTab(t, page, 1400, 1000)
	b.signIn()
	b.waitText("#letters-count", "150 dead letters")
	b.click("#letters-actions [data-act=discard][data-on=all]")
	b.waitText("#confirm-title", "Discard 150 dead letters?")
	disabled := `document.querySelector('#confirm-yes').disabled`
	b.run(chromedp.WaitVisible("#confirm-count", chromedp.ByQuery), chromedp.SendKeys("#confirm-count", "15", chromedp.ByQuery))
	if b.eval(disabled) != true {
		t.Error("another number is enough")
	}
	b.audit("typing the count")
	b.run(chromedp.SendKeys("#confirm-count", "0", chromedp.ByQuery))
	if b.eval(disabled) != false {
		t.Error("the number is not enough")
	}
	b.picture("typed")
	leaves := `dispatchEvent(new Event('beforeunload', {cancelable: true}))`
	if b.eval(leaves) != true || b.eval(`(() => { stopping = new AbortController(); const left = `+leaves+`; stopping = null; return left; })()`) != false {
		t.Error("the browser asks when it need not, or not when it must")
	}
	if b.eval(`(() => { stopping = new AbortController(); const signal = stopping.signal; $('confirm-no').click(); stopping = null; return signal.aborted && $('confirm').open; })()`) != true {
		t.Error("Stop leaves nobody to say what was done by then")
	}
	b.click("#confirm-yes")
	b.waitText("#confirm-title", "150 dead letters discarded")
	b.click("#confirm-no")
	b.waitText("#letters-empty", "No dead letters")
	if n := s.Stored("SESSIONS_DLQ"); n != 0 {
		t.Errorf("%d are left", n)
	}
}
