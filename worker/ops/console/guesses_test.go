package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"revoker/config"
)

// signInFrom guesses the token from an address and returns the answer's status.
func signInFrom(g *gate, remote, token string) int {
	request := httptest.NewRequest("POST", "/console/sign-in", strings.NewReader(`{"name":"Ada","token":"`+token+`"}`))
	request.RemoteAddr = remote
	recorder := httptest.NewRecorder()
	g.signIn(recorder, request)
	return recorder.Code
}

func TestWhoeverGuessesKeepsNobodyElseOut(t *testing.T) {
	t.Parallel()
	const token = "the-console-token"
	g, now := newGate(config.NewSecret(token), slog.New(slog.DiscardHandler)), time.Now()
	g.guesses.now = func() time.Time { return now } // no budget grows meanwhile
	for _, client := range []struct{ guesser, sameSite, operator string }{
		{"203.0.113.1:1000", "203.0.113.1:2000", "203.0.113.2:1000"},
		{"[::ffff:198.51.100.1]:1", "198.51.100.1:2", "198.51.100.2:1"},
		{"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", "[2001:db8:0:2::1]:1"},
		{"[fe80::1%eth0]:1", "[fe80::2%eth1]:1", "127.0.0.1:1"},
	} {
		for range guessesBurst {
			if status := signInFrom(g, client.guesser, "a wrong token"); status != http.StatusUnauthorized {
				t.Errorf("a guess from %s: %d", client.guesser, status)
			}
		}
		for _, remote := range []string{client.guesser, client.sameSite} {
			if status := signInFrom(g, remote, token); status != http.StatusTooManyRequests {
				t.Errorf("one guess too many from %s: %d", remote, status)
			}
		}
		if status := signInFrom(g, client.operator, token); status != http.StatusOK {
			t.Errorf("the operator at %s: %d", client.operator, status)
		}
	}
}

func TestTheMemoryOfGuessersIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := newGuesses()
	g.now = func() time.Time { return now }
	for i := range 3 * maxGuessers {
		now = now.Add(time.Microsecond)
		remote := fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff)
		if !g.allow(remote) {
			t.Fatalf("the first guess from %s is refused", remote)
		}
		for range guessesBurst { // the last address is still remembered
			g.allow(remote)
		}
		if g.allow(remote) {
			t.Fatalf("%s may guess without end", remote)
		}
	}
	if len(g.clients) != maxGuessers {
		t.Errorf("%d addresses are remembered, want %d", len(g.clients), maxGuessers)
	}
	now = now.Add(guessesBurst * guessesEvery)
	if g.allow("192.0.2.1:1"); len(g.clients) != 1 {
		t.Errorf("%d addresses are remembered whose budget is whole again", len(g.clients)-1)
	}
}
