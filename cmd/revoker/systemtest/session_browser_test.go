//go:build tools

package systemtest

import (
	"testing"

	"github.com/chromedp/chromedp"

	"revoker/internal/testsite"
)

// An operator finds out what became of sessions, by ID and by hash.
func TestThePageFindsASession(t *testing.T) {
	s := testsite.New(t, testsite.Simulator{Bad: 1})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_RECEIPTS=true")
	s.Publish(0, 2) // the first is rejected
	s.WaitDone()
	b := openTab(t, page, 1400, 1000)
	search := func(by, session string) {
		t.Helper()
		b.run(chromedp.SetValue("#session-form [name=by]", by, chromedp.ByQuery), chromedp.SetValue("#session-form [name=session]", session, chromedp.ByQuery))
		b.click("#session-form button")
	}
	search("session", "SECRET-session-1")
	b.waitText("#session-state", "Sign in with the console token first.")
	b.signIn()
	search("session", "SECRET-session-1")
	b.waitText("#session-state", "Revoked at ")
	b.waitText("#session-events", "2 tokens deleted, 1 attempt, ")
	b.picture("session")
	b.audit("session")
	search("hash", receiptSubject("SECRET-session-0")[len("session.revoked."):])
	b.waitText("#session-state", "A dead letter.")
	b.waitText("#session-events", "dead letter 1: CALLER_ERROR A")
	search("session", "nobody")
	b.waitText("#session-state", "The session may be revoked all the same, or unknown.")
}
