package receive

import (
	"fmt"
	"net/http"
	"testing"

	"revoker/internal/testissuer"
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
