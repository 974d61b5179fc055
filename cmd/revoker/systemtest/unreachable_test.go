package systemtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// certificateAuthority issues certificates for the servers of one test.
type certificateAuthority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newCertificateAuthority(t *testing.T) *certificateAuthority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	ca := &certificateAuthority{t: t, cert: must[*x509.Certificate](t)(x509.ParseCertificate(der)), key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(ca.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return ca
}

// issue returns a certificate for an address.
func (ca *certificateAuthority) issue(address string, until time.Time) *tls.Certificate {
	ca.t.Helper()
	key := must[*ecdsa.PrivateKey](ca.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(address)}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
	}
	der := must[[]byte](ca.t)(x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key))
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// An API that can't be reached, or can't be believed, is an outage: few calls, the reason in the log once, no dead letter. Once
// it works again, the backlog drains without a restart.
func TestAnAPIThatCannotBeBelievedIsAnOutage(t *testing.T) {
	t.Parallel()
	ca, stranger := newCertificateAuthority(t), newCertificateAuthority(t)
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		certificate *tls.Certificate // at first
		reason      string
	}{
		"an unknown authority":   {stranger.issue("127.0.0.1", soon), "certificate signed by unknown authority"},
		"another host":           {ca.issue("127.0.0.2", soon), "certificate is valid for 127.0.0.2, not 127.0.0.1"},
		"an expired certificate": {ca.issue("127.0.0.1", time.Now().Add(-time.Hour)), "certificate has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testsite.New(t, testsite.Simulator{})
			s.StartNATS()
			var certificate atomic.Pointer[tls.Certificate]
			certificate.Store(c.certificate)
			target := must[*url.URL](t)(url.Parse(s.APIURL))
			front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
			front.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return &tls.Config{Certificates: []tls.Certificate{*certificate.Load()}}, nil
			}}
			front.Config.ErrorLog = log.New(io.Discard, "", 0)
			front.StartTLS()
			t.Cleanup(front.Close)
			w := s.StartWorker("AUTHLETE_BASE_URL="+front.URL, "SSL_CERT_FILE="+ca.file)
			s.Publish(0, 300)
			waitForOutage(s, w, c.reason)
			certificate.Store(ca.issue("127.0.0.1", soon))
			s.WaitDone()
			if n := len(s.Sessions()); n != 300 || len(s.DeadLetters("")) != 0 {
				t.Errorf("%d sessions were called, want 300, and %d dead letters", n, len(s.DeadLetters("")))
			}
		})
	}
}

func TestAHostThatCannotBeFoundIsAnOutage(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	// A label of more than 63 bytes can't be asked for, so that the test needs no name server.
	host := strings.Repeat("x", 64) + ".invalid"
	w := s.StartWorker("AUTHLETE_BASE_URL=https://" + host)
	s.Publish(0, 300)
	waitForOutage(s, w, "lookup "+host)
}

// waitForOutage waits until the breaker has opened for the reason and some probes have failed, and checks what they cost.
func waitForOutage(s *testsite.Site, w *testproc.Process, reason string) {
	s.T.Helper()
	opened := func() int { return strings.Count(w.Stderr.String(), `"msg":"circuit breaker opened`) }
	failed := func() int { return strings.Count(w.Stderr.String(), `"outcome":"retry"`) }
	testproc.WaitFor(s.T, "open breaker", func() bool { return opened() > 0 })
	before := failed()
	testproc.WaitFor(s.T, "failed probe", func() bool { return failed() > before })
	for line := range strings.Lines(w.Stderr.String()) {
		if strings.Contains(line, "circuit breaker opened") && !strings.Contains(line, reason) {
			s.T.Errorf("want %q as the reason in %s", reason, line)
		}
	}
	// The slots' calls, what was in hand beside them, and the probes.
	if n := failed(); n > 2*64 || opened() != 1 {
		s.T.Errorf("%d calls failed, and the breaker opened %d times", n, opened())
	}
	if n := len(s.DeadLetters("")); n != 0 {
		s.T.Errorf("%d dead letters", n)
	}
}

// A gateway may send more than it was asked for, and quote what it got.
func TestWhatAServerSendsUnaskedIsNotLogged(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"action\":\"OK\"}HTTP/1.1 400 Bad\r\n\r\nSECRET-session-1")
		_, _ = conn.Read(make([]byte, 1)) // until the client closes it
	}))
	t.Cleanup(front.Close)
	w := s.StartWorker("AUTHLETE_BASE_URL=" + front.URL)
	s.Publish(0, 100)
	s.WaitDone()
	w.Signal(syscall.SIGTERM)
	w.Wait()
	if strings.Contains(w.Stderr.String(), "SECRET") || strings.Contains(w.Stderr.String(), "Unsolicited") {
		t.Errorf("it is in the log:\n%s", w.Stderr.Tail())
	}
}
