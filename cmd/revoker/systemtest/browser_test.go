//go:build tools

package systemtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// screenshots is where the pictures of the page go, for whoever wants to look at them; git ignores it.
const screenshots = "screenshots"

// tab is a page in a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	errors []string
}

// openTab starts a browser with the page. What the page's scripts complain of fails the test. before comes before the page.
func openTab(t *testing.T, page string, width, height int64, before ...chromedp.Action) *tab {
	t.Helper()
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Fatal("no browser: install Debian's chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf)) // it does not know all that the browser tells
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*testproc.Timeout) // for a browser that hangs; each wait has its own end
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.errors = append(b.errors, e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError {
				b.errors = append(b.errors, fmt.Sprint(e.Args))
			}
		}
	})
	b.run(append(append(before, chromedp.EmulateViewport(width, height)), chromedp.Navigate(page), chromedp.WaitVisible(`body[data-link=live]`))...)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.errors) > 0 {
			t.Errorf("the page's scripts complain: %q", b.errors)
		}
	})
	return b
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.picture("failed")
		b.t.Fatal(err)
	}
}

func (b *tab) text(selector string) (text string) {
	b.t.Helper()
	b.run(chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

func (b *tab) waitText(selector, part string) {
	b.t.Helper()
	testproc.WaitFor(b.t, fmt.Sprintf("%q in %s", part, selector), func() bool { return strings.Contains(b.text(selector), part) })
}

func (b *tab) eval(script string) (result any) {
	b.t.Helper()
	b.run(chromedp.Evaluate(script, &result))
	return result
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// picture writes a screenshot.
func (b *tab) picture(name string) {
	b.t.Helper()
	var png []byte
	if err := chromedp.Run(b.ctx, chromedp.FullScreenshot(&png, 100)); err != nil {
		b.t.Logf("no picture: %v", err)
		return
	}
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// audit holds the page as it is now against axe-core's rules: WCAG 2.2 at level AA, and its advice. AXE_CORE names axe.min.js.
func (b *tab) audit(state string) {
	b.t.Helper()
	axe, err := os.ReadFile(os.Getenv("AXE_CORE"))
	if err != nil {
		b.t.Fatalf("axe-core (AXE_CORE, from npm): %v", err)
	}
	const run = `axe.run().then(({violations}) => violations.map(v => v.id + ", " + v.nodes.length + " times: " + v.nodes[0].failureSummary + "\n" + v.nodes[0].html))`
	var violations []string
	b.run(chromedp.Evaluate(string(axe), nil), chromedp.Evaluate(run, &violations, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true)
	}))
	for _, violation := range violations {
		b.t.Errorf("%s: %s", state, violation)
	}
}

// messages waits for so many further messages of the feed. It reports whether an expression was true after one of them.
func (b *tab) messages(n int, expression string) any {
	b.t.Helper()
	b.eval(`(() => { const before = window.plainTake = window.plainTake || take; window.after = []; take = m => { before(m); after.push(` + expression + `); }; })()`)
	testproc.WaitFor(b.t, "messages of the feed", func() bool { return b.eval(fmt.Sprintf("after.length >= %d", n)) == true })
	return b.eval("after.some(Boolean)")
}

func (b *tab) scheme(name string) {
	b.t.Helper()
	b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
}

func (b *tab) signIn() {
	b.t.Helper()
	b.click("#sign")
	b.audit("sign-in")
	b.run(chromedp.SendKeys("#sign-in-form [name=name]", "Ada Lovelace", chromedp.ByQuery),
		chromedp.SendKeys("#sign-in-form [name=token]", consoleToken+"\r", chromedp.ByQuery), chromedp.WaitNotVisible("#sign-in", chromedp.ByQuery))
	b.waitText("#sign", "Sign out")
}

// An operator watches a live run, finds a dead letter, signs in, replays it, and it is gone.
func TestThePageShowsARunAndReplaysALetter(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Bad: 2, Failing: 5, Latency: 10 * time.Millisecond})
	s.StartNATS()
	_, page := pageOf(s)
	b := openTab(t, page, 1400, 1000)
	b.waitText("#breaker", "closed")
	b.waitText("#letters-empty", "No dead letters")
	b.picture("empty")
	b.audit("empty")
	s.Publish(0, 2000)
	s.WaitDone()
	b.waitText("#settled tbody", "revoked")
	b.waitText("#dead", "40")
	b.waitText("#letters-count", "40 dead letters")
	b.waitText("#groups", "CALLER_ERROR")
	if b.eval(`document.querySelectorAll('#plot-rate canvas').length`) != 1.0 || !strings.Contains(b.text("#plot-rate-now"), "/s") {
		t.Error("no plot")
	}
	b.waitText("#plot-outcomes-now", "CALLER_ERROR")
	b.eval(`(() => { const over = plotOf('plot-outcomes').plot.over, at = over.getBoundingClientRect();
		over.dispatchEvent(new MouseEvent('mousemove', {clientX: at.left + at.width - 3, clientY: at.top + 9, bubbles: true})); })()`)
	b.waitText("#plot-outcomes .tip", "Z · CALLER_ERROR ")
	b.picture("live")
	b.audit("live")
	for what, holds := range map[string]string{
		"the plot's bars are wide enough to tell apart": `plotOf('plot-outcomes').points.length <= windowSeconds / 10 + 1 && plotOf('plot-outcomes').points.every(p => p.t % 10 === 0)`,
		"the bars count what the points count":          `plotOf('plot-outcomes').points.reduce((sum, p) => sum + p.values[0], 0) === points.reduce((sum, p) => sum + (p.failed && p.failed.CALLER_ERROR || 0), 0)`,
		"times are UTC and say so":                      `[...document.querySelectorAll('#letters-table tbody td:nth-child(3)')].every(td => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(td.textContent)) && /Z$/.test(document.querySelector('#settled tbody td').textContent)`,
		"an error is one line, and no repetition":       `[...document.querySelectorAll('#letters-table tbody tr')].every(tr => tr.offsetHeight < 40 && tr.lastChild.textContent === 'HTTP 400')`,
	} {
		if b.eval(holds) != true {
			t.Errorf("it does not hold that %s", what)
		}
	}
	if b.eval(`document.querySelector('#letters-actions').hidden`) != true {
		t.Error("actions are offered to somebody who is not signed in")
	}
	b.click("#letters-table tbody tr:first-child button.open")
	b.waitText("#detail-body", "Sign in to see them.")
	if text := b.text("#detail-body"); strings.Contains(text, "SECRET") {
		t.Errorf("a session ID is shown to anybody: %s", text)
	}
	b.picture("detail")
	b.audit("detail")
	b.click("#detail [data-close]")
	b.signIn()
	b.click("#letters-table tbody tr:first-child input")
	b.click("#letters-actions [data-act=discard][data-on=chosen]")
	b.waitText("#confirm-title", "Discard 1 dead letter?")
	b.picture("confirm")
	b.audit("confirm")
	b.click("#confirm-yes")
	b.waitText("#confirm-progress", "1 discarded.")
	b.click("#confirm-no")
	b.waitText("#letters-count", "39 dead letters")
	b.click("#letters-actions [data-act=replay][data-on=all]")
	b.waitText("#confirm-title", "Replay 39 dead letters?")
	b.click("#confirm-yes")
	b.waitText("#confirm-progress", "39 replayed.")
	b.waitText("#confirm-title", "39 dead letters replayed")
	if b.eval(`document.querySelector('#confirm-yes').offsetParent === null && !document.querySelector('#confirm').innerText.includes('?')`) != true {
		t.Error("the dialog still asks")
	}
	b.audit("replayed")
	b.click("#confirm-no")
	testproc.WaitFor(t, "new letters of the replayed events", func() bool {
		stream, err := s.JS.Stream(s.Deadline(), "SESSIONS_DLQ")
		return err == nil && stream.CachedInfo().State.Msgs == 39 && stream.CachedInfo().State.LastSeq == 79
	})
	b.scheme("dark")
	if b.eval(`plots.every(p => { const span = p.plot.scales.x.max - p.plot.scales.x.min; return span >= leastSeconds && span < windowSeconds; })`) != true {
		t.Error("the plots do not begin with the data, or lost their window with the theme")
	}
	b.picture("dark")
	b.audit("dark")
}

// What a publisher or the API puts into a letter is text on the page, whatever it looks like.
func TestThePageShowsHostileTextAsText(t *testing.T) {
	const script = `<script>window.hacked=1</script><img src=x onerror="window.hacked=1">`
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s)
	s.Control("POST", "/sim/outage", sim.OutageRequest{Answer: sim.Answer{Kind: sim.Raw, ContentType: "application/json",
		Body: string(encoded(t, map[string]string{"action": "CALLER_ERROR", "resultCode": script, "resultMessage": script}))}})
	payload := encoded(t, map[string]string{"sessionId": "SECRET-" + script, "reason": script})
	if _, err := s.JS.PublishMsg(s.Deadline(), &nats.Msg{Subject: "session.ended", Header: nats.Header{"X-Note": {script}}, Data: payload}); err != nil {
		t.Fatal(err)
	}
	s.WaitDone()
	b := openTab(t, page, 1400, 1000)
	b.signIn()
	b.waitText("#letters-count", "1 dead letter")
	b.click("#letters-table tbody tr:first-child button.open")
	b.waitText("#detail-body", "X-Note: "+script)
	b.waitText("#detail-body", "SECRET-")
	b.picture("hostile")
	if b.eval(`window.hacked === undefined && document.querySelectorAll('main img, dialog img, main script').length === 0`) != true {
		t.Error("text of a letter became a part of the page")
	}
}

// The page says so when the breaker opens, when the fleet is paused, and when the worker is gone; and it fits a phone.
func TestThePageTellsWhatIsWrong(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Bad: 2})
	s.StartNATS()
	worker, page := pageOf(s, "REVOKER_BREAKER_FAILURES=3")
	b := openTab(t, page, 390, 844)
	s.Publish(10_000, 10_200)
	b.waitText("#letters-count", "4 dead letters")
	b.waitText("#settled tbody", "revoked")
	for _, overflow := range []string{
		`document.documentElement.scrollWidth > window.innerWidth`,
		`[...document.querySelectorAll('td')].some(td => td.getBoundingClientRect().right > window.innerWidth)`,
	} {
		testproc.WaitFor(t, "page as wide as a phone, without "+overflow, func() bool { return b.eval(overflow) == false }) // plots follow with the next frame
	}
	b.picture("phone")
	b.audit("phone")
	s.Control("POST", "/sim/outage", sim.OutageRequest{Answer: sim.Answer{Kind: sim.Unavailable}})
	s.Publish(0, 200)
	b.run(chromedp.WaitVisible(`#card-breaker[data-state=open]`, chromedp.ByQuery))
	b.waitText("#breaker-note", "HTTP 503")
	b.waitText("#breaker-times", "since 2")
	b.waitText("#breaker-times", "next probe i")
	if got := b.eval(`nextProbe({nextProbe: '2026-01-02T03:04:05Z'}, 'next probe ')`); got != "next probe is due" { // another worker told it a moment ago
		t.Errorf("%v", got)
	}
	b.waitText("#backlog-note", "no estimate while the circuit breaker is open")
	b.waitText("#waits-table tbody", "HTTP 503")
	b.waitText("#waits-table tbody", "when the breaker closes")
	if host, _ := os.Hostname(); !strings.Contains(b.text("#breaker-worker"), "worker "+host) || strings.Contains(b.text("#waits"), "SECRET") {
		t.Errorf("which worker? %q; the list: %q", b.text("#breaker-worker"), b.text("#waits"))
	}
	b.picture("breaker-open")
	b.audit("breaker open")
	s.Control("DELETE", "/sim/outage", nil)
	b.run(chromedp.WaitVisible(`#card-breaker[data-state=closed]`, chromedp.ByQuery))
	b.signIn()
	b.click("#pause")
	b.audit("pausing")
	b.click("#pause-form button[type=submit]")
	b.waitText("#notice", "paused until")
	b.picture("paused")
	b.audit("paused")
	testproc.WaitFor(t, "pause", func() bool { return s.Info().Paused })
	b.click("#pause")
	testproc.WaitFor(t, "resumption", func() bool { return !s.Info().Paused })
	b.run(chromedp.WaitNotVisible("#notice", chromedp.ByQuery))
	if b.messages(4, "state.fleet.paused") != false {
		t.Error("the pause shows up again after it was ended here")
	}
	b.click("#sign")
	b.waitText("#sign", "Sign in")
	if b.messages(2, "state.signedIn") != false {
		t.Error("who signed out is signed in a moment later")
	}
	if notice := b.eval(`(() => { state.connected = false; showState(); return $('notice').textContent; })()`).(string); !strings.Contains(notice, "as they were at 2") {
		t.Errorf("how old are the figures? %s", notice)
	}
	_ = worker.Cmd.Process.Kill()
	b.run(chromedp.WaitVisible(`body[data-link=lost]`, chromedp.ByQuery))
	b.waitText("#notice", "No answer from this worker. You see its state of 2")
	b.picture("disconnected")
	b.audit("disconnected")
}

// The page lists a service that is held back. While CALLER_ERROR holds events back, an operator has a button that lets them go.
func TestThePageShowsWhatIsHeldBack(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Bad: 100})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_CALLER_ERROR_BRAKE=5", "REVOKER_ALLOWED_SERVICE_IDS=77", "REVOKER_CONCURRENCY=2")
	b := openTab(t, page, 1400, 1000)
	if b.eval(`document.querySelector('#held').hidden && document.querySelector('#let-go').hidden`) != true {
		t.Error("something is shown as held back before anything is")
	}
	if _, err := s.JS.Publish(s.Deadline(), "session.ended", []byte(`{"sessionId":"SECRET-foreign-1","serviceId":"77"}`)); err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.WaitVisible("#held", chromedp.ByQuery))
	b.waitText("#held-table tbody", "REVOKER_ALLOWED_SERVICE_IDS")
	if text := b.text("#held-table tbody"); !strings.HasPrefix(text, "77") || strings.Contains(text, "SECRET") {
		t.Errorf("the service: %s", text)
	}
	b.audit("held service")
	s.Publish(0, 50)
	b.waitText("#notice", "CALLER_ERROR for many sessions in a row")
	if b.eval(`document.querySelector('#let-go').hidden`) != true {
		t.Error("the button is offered to somebody who is not signed in")
	}
	b.signIn()
	b.run(chromedp.WaitVisible("#let-go", chromedp.ByQuery))
	b.picture("held")
	b.audit("braked")
	b.click("#let-go")
	testproc.WaitFor(t, "all dead letters", func() bool { return len(s.DeadLetters("CALLER_ERROR")) == 50 })
	b.run(chromedp.WaitNotVisible("#let-go", chromedp.ByQuery))
}

func encoded(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
