package receive

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/internal/testissuer"
	"revoker/internal/testproc"
)

func TestALogoutTokenBecomesAnEvent(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	claims := s.issuer.Claims("SECRET-sid", testissuer.Claims{"iat": 1700000000})
	for range 2 { // a provider that heard no answer sends the same again
		if r := s.logout(s.issuer.Sign(claims, nil)); r.status != http.StatusOK || r.header.Get("Cache-Control") != "no-store" || r.body != "" {
			t.Fatalf("%+v", r)
		}
	}
	s.storedAre(`{"sessionId":"SECRET-sid","serviceId":"77","endedAt":"2023-11-14T22:13:20Z","reason":"backchannel-logout"}`)
	if header := s.stored()[0].Header; header.Get("Session-Source") != "login" || header.Get("Nats-Msg-Id") == "" {
		t.Errorf("%v", header)
	}
	s.counts(`revoker_receive_signals_total{result="accepted",source="login"}`, "2")
	s.silent(fmt.Sprint(claims["jti"]))
}

// Forged and wrong tokens are refused, each for its own reason, and nothing is stored.
func TestForgedAndWrongTokensStoreNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	if r := s.logout(s.issuer.Token("good")); r.status != http.StatusOK {
		t.Fatalf("%+v", r)
	}
	want, began := map[string]int{}, time.Now()
	for _, bad := range s.issuer.Corpus(t) {
		r := s.logout(bad.Token)
		// Once the issuer was asked often enough, the server can't tell whether a new key is one of its.
		undecided := bad.Reason == "key" && r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "12"
		if !undecided && (r.status != http.StatusBadRequest || r.Error != "invalid_request" || r.Description == "" || r.header.Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %+v", bad.Name, r)
		}
		if strings.Contains(r.body, "SECRET") {
			t.Errorf("%s: the token is quoted: %s", bad.Name, r.body)
		}
		if !undecided {
			want[bad.Reason]++
		}
	}
	took := time.Since(began)
	s.has(1)
	metrics := s.scrape()
	for reason, times := range want {
		source := "login"
		if slices.Contains([]string{"malformed", "encrypted", "critical", "type", "issuer"}, reason) {
			source = "unknown"
		}
		if reason == "algorithm" { // three of them are not even read
			source, times = "unknown", times-1
		}
		if line := fmt.Sprintf("\nrevoker_receive_refusals_total{reason=%q,source=%q} %d\n", reason, source, times); !strings.Contains(metrics, line) {
			t.Errorf("not in the metrics: %s", line)
		}
	}
	lines := strings.Join(s.Log.Lines(), "\n")
	// Algorithm is of both sources. On a machine that stood still for so long a reason may be logged again.
	if n := strings.Count(lines, "refused a signal") - len(want) - 1; n < 0 || n > 0 && took < refusedEvery {
		t.Errorf("each reason should be logged once:\n%s", lines)
	}
	s.silent("good")
}

func TestRequestsThatAreNoLogoutRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	const form = "Content-Type: application/x-www-form-urlencoded"
	good := "logout_token=" + s.issuer.Token("a")
	for name, c := range map[string]struct{ body, line, text string }{
		"JSON":        {`{"logout_token":"a"}`, "Content-Type: application/json", "Content-Type"},
		"no type":     {good, "", "Content-Type"},
		"no token":    {"token=a", form, "one logout_token"},
		"empty":       {"logout_token=", form, "one logout_token"},
		"two tokens":  {good + "&" + good, form, "one logout_token"},
		"not a form":  {"%zz", form, "not a form"},
		"a huge body": {strings.Repeat("a", maxLogoutBody) + "&" + good, form, "too large"},
	} {
		if r := s.post("/backchannel-logout", c.body, c.line); r.status != http.StatusBadRequest || !strings.Contains(r.Description, c.text) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// Other fields are ignored, and in the query a token would be in the logs of every proxy.
	if r := s.post("/backchannel-logout?"+good, "a=b", form); r.status != http.StatusBadRequest {
		t.Errorf("a token in the query: %+v", r)
	}
	if r := s.post("/backchannel-logout", good+"&more=1", form); r.status != http.StatusOK {
		t.Errorf("another field: %+v", r)
	}
}

func TestTheKeysOfAnIssuerThatIsAwayAreWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	away := testissuer.New(t)
	away.Away(true)
	s.serve(append(s.issuers(), config.Issuer{Name: "away", URL: away.URL, ClientIDs: []string{testissuer.ClientID}}))
	if r := s.logout(away.Token("a")); r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "12" {
		t.Errorf("%+v", r)
	}
	if r := s.logout(s.issuer.Token("b")); r.status != http.StatusOK {
		t.Errorf("the other issuer suffers: %+v", r)
	}
	s.counts(`revoker_receive_signals_total{result="unavailable",source="away"}`, "1")
	if status, body := s.ops("/readyz"); status != http.StatusOK || !strings.Contains(body, `"name":"issuer away"`) || strings.Contains(body, "issuer login") {
		t.Errorf("%d %s", status, body)
	}
	away.Away(false)
	testproc.WaitFor(t, "the keys", func() bool { return s.logout(away.Token("c")).status == http.StatusOK })
	s.has(2)
	if text := s.scrape(); !strings.Contains(text, `revoker_receive_keys_age_seconds{issuer="away"} `) {
		t.Error(text)
	}
	// A fetch is counted after those who wait for it have gone on.
	testproc.WaitFor(t, "failed fetch in the metrics", func() bool {
		return !strings.Contains(s.scrape(), `revoker_receive_key_fetches_total{issuer="away",result="failed"} 0`)
	})
}

// Anyone can make key IDs up. That is counted apart from signals that can't be taken, for which somebody is woken.
func TestKeyIDsThatAreMadeUpAreCountedApart(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	if r := s.logout(s.issuer.Token("a")); r.status != http.StatusOK {
		t.Fatalf("%+v", r)
	}
	forged := testissuer.Sign(t, testissuer.NewKey(t, "forged"), s.issuer.Claims("b", nil), nil)
	testproc.WaitFor(t, "the end of the budget", func() bool { return s.logout(forged).status == http.StatusServiceUnavailable })
	s.counts(`revoker_receive_signals_total{result="undecided",source="login"}`, "1")
	s.counts(`revoker_receive_signals_total{result="unavailable",source="login"}`, "0")
	s.has(1)
}

// has fails unless the stream has n events.
func (s *site) has(n int) {
	s.t.Helper()
	if have := len(s.stored()); have != n {
		s.t.Errorf("%d events, want %d", have, n)
	}
}

// Keys rotate while signals come.
func TestAKeyRotationIsFollowed(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for n := range 2 {
		s.issuer.Use(testissuer.NewKey(t, fmt.Sprintf("rotated-%d", n)))
		if r := s.logout(s.issuer.Token(fmt.Sprint(n))); r.status != http.StatusOK {
			t.Errorf("%d: %+v", n, r)
		}
	}
}

// A provider that does not wait for the answer may never send again. Its token is verified and stored all the same.
func TestASenderThatHangsUpDoesNotLoseItsSignal(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	slow := testissuer.New(t)
	release := slow.Hold()
	s.serve(append(s.issuers(), config.Issuer{Name: "slow", URL: slow.URL, ClientIDs: []string{testissuer.ClientID}}))
	ctx, hangUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.server.Address()+"/backchannel-logout",
		strings.NewReader("logout_token="+slow.Token("a")))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ended := make(chan error, 1)
	go func() {
		response, err := s.client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		ended <- err
	}()
	testproc.WaitFor(t, "the request in work", func() bool { return len(s.server.logoutSlots) == 1 })
	hangUp()
	if err := <-ended; err == nil {
		t.Error("it got an answer")
	}
	release()
	testproc.WaitFor(t, "the event", func() bool { return len(s.stored()) == 1 })
}
