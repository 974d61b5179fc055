//go:build tools

package systemtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go"

	"revoker/events"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// end stores events of sessions that ended some time ago.
func end(s *testsite.Site, subject string, ago time.Duration, ids ...string) {
	s.T.Helper()
	for _, id := range ids {
		event := events.Event{SessionID: events.SessionID("SECRET-" + id), EndedAt: time.Now().Add(-ago)}
		if _, err := s.JS.Publish(s.Deadline(), subject, event.Encode()); err != nil {
			s.T.Fatal(err)
		}
	}
}

// drawn reports whether a plot has the number as the last one that is not null, of a series.
func (b *tab) drawn(plot string, series int, condition string) func() bool {
	script := fmt.Sprintf(`(() => { const last = plotOf(%q).data[%d].filter(v => v !== null && v !== undefined).pop(); return last !== undefined && (v => %s)(last); })()`,
		plot, series+1, condition)
	return func() bool { return b.eval(script) == true }
}

// drew reports whether a plot has such a number anywhere in a series.
func (b *tab) drew(plot string, series int, condition string) func() bool {
	script := fmt.Sprintf(`plotOf(%q).data[%d].some(v => v !== null && v !== undefined && (v => %s)(v))`, plot, series+1, condition)
	return func() bool { return b.eval(script) == true }
}

// An operator sees first how soon sessions are revoked and what is left of the objective's budget, then each lane, and that one of
// them is paused.
func TestThePageShowsTheTimeToRevokedAndTheLanes(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Latency: 10 * time.Millisecond})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_OBJECTIVE=90% within 30s")
	b := openTab(t, page, 1400, 1000)
	b.waitText("#budget-note", "90% within 30s: no live event was settled in 15 minutes")
	b.waitText("#minute-note", "none in the last minute")
	b.audit("no times yet")
	end(s, "session.ended", time.Minute, "late-1") // more than the objective allows
	for i := range 29 {
		end(s, "session.ended", 0, fmt.Sprint("soon-", i))
	}
	end(s, "session.ended.bulk", 3*time.Hour, "bulk-1", "bulk-2")
	b.waitText("#budget-note", "1 of 30 missed it in 15 minutes")
	b.waitText("#budget", "33% spent")
	b.waitText("#quarter", "p50")
	b.waitText("#minute", "p50") // in milliseconds, or in seconds on a busy machine
	b.waitText("#lanes-table tbody", "3 h ")
	if b.eval(`document.querySelector('#card-budget').dataset.state`) != "closed" {
		t.Error("a third of the budget is shown as trouble")
	}
	for plot, condition := range map[string]string{"plot-live": "v > 0", "plot-bulk": "v > 10000", "plot-limit": "v >= 0", "plot-allowed": "v >= 0", "plot-backlog": "v === 0"} {
		testproc.WaitFor(t, plot, b.drawn(plot, 0, condition))
	}
	b.picture("lanes")
	b.audit("lanes")
	b.scheme("dark")
	b.picture("lanes-dark")
	b.audit("lanes, dark")
	b.scheme("light")

	s.Says(0, nil, []string{"pause", "--lane", "bulk"})
	b.waitText("#notice", "The bulk lane is paused until somebody resumes it. The other lane goes on.")
	testproc.WaitFor(t, "the end of pulls that were open", func() bool { return s.BulkInfo().NumWaiting <= 1 })
	end(s, "session.ended.bulk", 0, "bulk-3", "bulk-4", "bulk-5")
	end(s, "session.ended", time.Minute, "late-2", "late-3", "late-4")
	b.waitText("#budget", "121% spent")
	b.waitText("#lanes-table tbody tr:nth-child(2)", "paused until somebody resumes it")
	testproc.WaitFor(t, "the bulk lane's backlog", b.drawn("plot-backlog", 1, "v >= 2")) // a pull that was open may take one
	if b.eval(`document.querySelector('#card-budget').dataset.state === 'open' && document.querySelector('#resume').hidden`) != true {
		t.Error("a budget that is spent is not shown as trouble, or a visitor may resume")
	}
	b.picture("lane-paused")
	b.audit("a paused lane")
	b.run(chromedp.EmulateViewport(390, 844))
	testproc.WaitFor(t, "page as wide as a phone", func() bool { return b.eval(`document.documentElement.scrollWidth > window.innerWidth`) == false })
	b.picture("lane-paused-phone")
	b.audit("a paused lane, on a phone")
	b.run(chromedp.EmulateViewport(1400, 1000))
	b.signIn()
	if text := b.text("#pause"); text != "Pause" {
		t.Errorf("the button that pauses all says %s", text)
	}
	b.click("#resume")
	testproc.WaitFor(t, "resumption", func() bool { return !s.BulkInfo().Paused })
	b.waitText("#lanes-table tbody tr:nth-child(2)", "served")
	b.run(chromedp.WaitNotVisible("#resume", chromedp.ByQuery))
	if text := b.text("main"); strings.Contains(text, "SECRET") {
		t.Error("a session ID is shown")
	}
}

// The page says what limits the calls, in the command's words, and plots limit and rate.
func TestThePageSaysWhatLimitsTheCalls(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Latency: 10 * time.Millisecond})
	s.StartNATS()
	_, page := pageOf(s)
	b := openTab(t, page, 1400, 1000)
	for want, state := range testsite.Limits() {
		if got := b.eval(fmt.Sprintf("limitText(%s)", encoded(t, state))); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	b.waitText("#breaker-limit", "calls in flight: ")
	s.Control("PUT", "/sim/capacity", sim.Capacity{PerSecond: 100})
	s.Publish(0, 6000) // for a minute: the rate must not end before it is looked at
	b.waitText("#breaker-limit", "calls in flight: the API allows ")
	testproc.WaitFor(t, "the rate", b.drawn("plot-allowed", 1, "v > 10 && v < 200"))
	testproc.WaitFor(t, "the limit", b.drawn("plot-limit", 1, "v >= 1 && v <= 64"))
	b.waitText("#plot-allowed-now", "the API allows ")
	b.picture("limited")
	b.audit("limited")
}

// An installation with one lane shows one.
func TestThePageShowsOneLane(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_BULK_SUBJECT=")
	b := openTab(t, page, 1400, 1000)
	const one = `document.querySelectorAll('#lanes-table tbody tr').length === 1 && document.querySelector('#figure-bulk').hidden`
	if b.eval(one) != true {
		t.Error("a lane is shown that is off, before the lanes are read")
	}
	b.waitText("#lanes-table tbody", "served")
	if b.eval(one) != true {
		t.Error("a lane is shown that is off")
	}
}

// A source whose session IDs are wrong is named. The API answers OK to them.
func TestThePageNamesASourceThatRevokesNothing(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s)
	b := openTab(t, page, 1400, 1000)
	for range 3 {
		for i := range 6 { // the second and the third time there is nothing left to delete
			msg := &nats.Msg{Subject: "session.ended", Data: fmt.Appendf(nil, `{"sessionId":"SECRET-%d"}`, i), Header: nats.Header{"Session-Source": {"login"}}}
			if _, err := s.JS.PublishMsg(s.Deadline(), msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.waitText("#notice", "12 of the last 18 revocations of source login deleted nothing")
	b.audit("empty revocations")
}
