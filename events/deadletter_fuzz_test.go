package events

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Whatever headers an event comes with and whatever the API says, the dead letter can be sent, and its headers are what
// they are meant to be.
func FuzzDeadLetter(f *testing.F) {
	f.Add("X-Trace: a\r\nNats-Msg-Id: long-session-id", "long-session-id", "no long-session-id", "A1", "[A1]\r\nX: y", 400)
	f.Add("revoker-reason: FORGED\r\nNATS-Rollup: all\r\nNats-TTL : 1s", "", "", "", "", 0)
	f.Add("A Name: with a space\r\n: without one\r\nX-\xff: \xff\r\nStatus: 404", "two words", "two\twords", "two  words", strings.Repeat("é", 600), -1)
	f.Add("Nats-Msg-Id: s:1/2?3=4&5\r\nX:", "s:1/2?3=4&5", "s%3A1%2F2%3F3%3D4%265", "s:1/2?3=4&5", "\u2028", 599)
	f.Fuzz(func(t *testing.T, lines, id, sentence, code, message string, status int) {
		own, err := nats.DecodeHeadersMsg([]byte("NATS/1.0\r\n" + lines + "\r\n\r\n"))
		if err != nil && own != nil {
			t.Fatal("nats.go hands the message on with what it could not read")
		}
		d := &Delivery{msg: &nats.Msg{Subject: "session.ended", Header: own}, Stream: "SESSIONS", Consumer: "revoker", Sequence: 7}
		letter := Letter{
			Reason: ReasonCallerError, Error: sentence, HTTPStatus: status, ResultCode: code, ResultMessage: message, SessionID: SessionID(id),
		}
		facts := letterHeader(d, letter, time.Now())
		kept, unsendable := OriginalHeader(own)
		got := wholeHeader(kept, facts, unsendable)
		// The size has no headers in it if they can't be sent.
		if msg := (&nats.Msg{Header: got}); msg.Size() == 0 {
			t.Errorf("a header can't be sent: %q", got)
		}
		checkFacts(t, facts, letter)
		checkKept(t, got, facts, own)
	})
}

// checkFacts holds what revoker says against the form it is to have.
func checkFacts(t *testing.T, facts nats.Header, letter Letter) {
	t.Helper()
	id := string(letter.SessionID)
	for name, values := range facts {
		if len(values) != 1 || len(values[0]) > maxHeaderValue || strings.ContainsAny(values[0], "\r\n") {
			t.Errorf("%s: %q is not one line of at most 1 KiB", name, values)
		}
		// A short ID may be part of an ordinary word, and any be part of its own mask.
		secret := len(id) >= shortID && !strings.Contains("session:"+letter.SessionID.Mask(), id)
		quoting := slices.Contains([]string{HeaderError, HeaderResultCode, HeaderResultMessage, HeaderMsgID}, name)
		if quoting && secret && strings.Contains(values[0], id) {
			t.Errorf("%s has the session ID: %q", name, values)
		}
	}
	if facts.Get(HeaderReason) != letter.Reason || facts.Get(HeaderStreamSequence) != "7" {
		t.Errorf("the facts are lost: %q", facts)
	}
}

// checkKept holds a letter's header against the facts and the event's own.
func checkKept(t *testing.T, got, facts, own nats.Header) {
	t.Helper()
	for name, values := range got {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "nats-"):
			t.Errorf("%s: %q survives", name, values)
		case strings.HasPrefix(lower, "revoker-"):
			if name != HeaderHeadersOmitted && strings.Join(values, "\n") != strings.Join(facts[name], "\n") {
				t.Errorf("%s: %q is not revoker's", name, values)
			}
		case len(own[name]) == 0:
			t.Errorf("%s: %q was not in the event", name, values)
		}
	}
}
