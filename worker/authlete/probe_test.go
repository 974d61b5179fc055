package authlete

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A probe is a whole call with the token, and without a session.
func TestProbe(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
		w.WriteHeader(400)
		_, _ = io.WriteString(w, `{"action":"CALLER_ERROR","resultCode":"A503201"}`)
	}))
	t.Cleanup(server.Close)
	client := newClient(t, server.URL)
	p := client.Probe(t.Context(), "4711")
	if p.Err != nil || p.Response.Action != ActionCallerError || p.TLS != 0 || p.Resolving != nil || p.Connecting != nil {
		t.Errorf("%+v", p)
	}
	if got := <-bodies; got != "POST /api/4711/nativesso/logout Bearer "+testToken+" {}" {
		t.Errorf("the call was %q", got)
	}
}

func TestProbeTellsHowFarItCame(t *testing.T) {
	t.Parallel()
	if p := newClient(t, "https://nowhere.invalid").Probe(t.Context(), "4711"); p.Resolving == nil || p.Err == nil {
		t.Errorf("without a host: %+v", p)
	}
	if p := newClient(t, "http://127.0.0.1:1").Probe(t.Context(), "4711"); p.Connecting == nil || p.Err == nil {
		t.Errorf("without a listener: %+v", p)
	}
	server, trusting := startTLS(t, http.NotFoundHandler(), nil)
	p := newClient(t, server.URL).Probe(t.Context(), "4711") // its authority is unknown
	if p.Handshaking == nil || p.Err == nil || !strings.Contains(p.Handshaking.Error(), "certificate") {
		t.Errorf("with a strange certificate: %+v", p)
	}
	p = trusting.Probe(t.Context(), "4711")
	if p.Err != nil || p.Response.Status != 404 || p.TLS < tls.VersionTLS12 || !p.Expires.Equal(server.Certificate().NotAfter) {
		t.Errorf("with TLS: %+v", p)
	}
}
