package conn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"revoker/config"
	"revoker/events"
	"revoker/events/internal/conn"
	"revoker/events/internal/eventstest"
)

// secured is a server with TLS, whose certificate no authority issued that this machine trusts.
func secured(t *testing.T) string {
	t.Helper()
	other := httptest.NewUnstartedServer(nil)
	other.StartTLS()
	t.Cleanup(other.Close)
	return encrypted(t, &tls.Config{Certificates: other.TLS.Certificates})
}

func encrypted(t *testing.T, with *tls.Config) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, TLSConfig: with, TLSTimeout: eventstest.Timeout.Seconds()})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(eventstest.Timeout) {
		t.Fatal("the server is not ready")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s.Addr().String()
}

// certified is a certificate that vouches for itself, with its key, and both as PEM files.
func certified(t *testing.T, name string, until time.Time) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{name}, IPAddresses: []net.IP{net.ParseIP(name)},
	}
	if template.IPAddresses[0] == nil {
		template.IPAddresses = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certFile, keyFile
}

// credentials is a credentials file that is good until then, of an account that no server knows.
func credentials(t *testing.T, until time.Time) string {
	t.Helper()
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(public)
	claims.Expires = until.Unix()
	token, err := claims.Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	content, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "user.creds")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// silent takes connections and says nothing, as an HTTP server does.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, client) // until the client gives up
			client.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// Each refusal is told in an operator's words, with the variable to look at, and without a secret.
func TestWhyThereIsNoConnection(t *testing.T) {
	t.Parallel()
	narrow := &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_worker.>"}}}
	s := eventstest.Secured(t, &server.User{Username: "worker", Password: "pw"}, &server.User{Username: "narrow", Password: "pw", Permissions: narrow})
	at := s.Addr().String()
	url := func(u string) config.NATS { return config.NATS{URL: config.NewServerURLs(u)} }
	wrong, token, narrowed := url("nats://"+at), url("nats://"+at), eventstest.As(s, "narrow")
	wrong.User, wrong.Password = "worker", config.NewSecret("SECRET")
	token.Token = config.NewSecret("SECRET")
	later := time.Now().Add(24 * time.Hour)
	trusting := func(at, ca string) config.NATS { return config.NATS{URL: config.NewServerURLs("tls://" + at), CA: ca} }
	elsewhere, elsewhereCA, _ := certified(t, "nats.example.com", later)
	outdated, outdatedCA, _ := certified(t, "127.0.0.1", time.Now().Add(-24*time.Hour))
	mutual, mutualCA, _ := certified(t, "127.0.0.1", later)
	asking := encrypted(t, &tls.Config{Certificates: []tls.Certificate{mutual}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()})
	stranger := trusting(asking, mutualCA)
	_, stranger.Cert, stranger.Key = certified(t, "stranger", later)
	ended := url("nats://" + at)
	ended.Creds = credentials(t, time.Unix(1_700_000_000, 0))
	other := url("nats://" + at)
	other.Creds = credentials(t, later)
	for name, c := range map[string]struct {
		cfg          config.NATS
		what, remedy string
	}{
		"nobody listens":        {url("nats://127.0.0.1:1"), "connection refused", "NATS_URL"},
		"none of several":       {url("nats://127.0.0.1:1,nats://127.0.0.1:2"), "connection refused", "NATS_URL"},
		"a silent port":         {url("nats://" + silent(t)), "is not a NATS server", "the port"},
		"no TLS":                {url("tls://" + at), "does not offer TLS", "nats://"},
		"no WebSocket":          {url("ws://" + at), "does not speak WebSocket", "nats://"},
		"an unknown authority":  {url("tls://" + secured(t)), "certificate", "NATS_CA"},
		"another name":          {trusting(encrypted(t, &tls.Config{Certificates: []tls.Certificate{elsewhere}}), elsewhereCA), "x509: ", "a name in NATS_URL"},
		"outdated":              {trusting(encrypted(t, &tls.Config{Certificates: []tls.Certificate{outdated}}), outdatedCA), "x509: certificate has expired", "renew"},
		"no certificate":        {trusting(asking, mutualCA), "tls", "client certificate: look at NATS_CERT and NATS_KEY"},
		"another certificate":   {stranger, "", "NATS_CERT and NATS_KEY"},
		"no credentials":        {url("nats://" + at), "asks for credentials, and none are set", "NATS_CREDS"},
		"another password":      {wrong, "rejected the credentials (Authorization Violation)", "NATS_USER and NATS_PASSWORD"},
		"another token":         {token, "rejected the credentials", "NATS_TOKEN"},
		"old credentials":       {ended, "rejected the credentials", "replace the file in NATS_CREDS: its credentials expired at 2023-11-14T22:13:20Z"},
		"another's credentials": {other, "rejected the credentials (Authorization Violation)", "look at the file in NATS_CREDS"},
		"a password in the URL": {url("nats://worker:SECRET@" + at), "rejected the credentials", "the server's URL"},
		"no inbox":              {narrowed, "may not subscribe to its inbox, _INBOX.>", "NATS_INBOX_PREFIX"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &eventstest.Log{}
			_, err := events.Connect(c.cfg, "test", slog.New(log), false)
			var failed *events.ConnectError
			if !errors.As(err, &failed) || !strings.Contains(failed.What, c.what) || !strings.Contains(failed.Remedy, c.remedy) {
				t.Fatalf("got %v, want %q and %q", err, c.what, c.remedy)
			}
			if strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), failed.What+"; "+failed.Remedy) {
				t.Errorf("it says %v", err)
			}
			if lines := log.Lines(); count(lines, "NATS reported an error") > 0 {
				t.Errorf("the log says it too: %v", lines)
			}
		})
	}
	narrowed.InboxPrefix = "_INBOX_worker"
	c, err := events.Connect(narrowed, "test", slog.New(&eventstest.Log{}), false)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// A worker waits for the server, and learns about its inbox only then. It does not wait for what waiting does not bring.
func TestAWorkerWithoutAnInboxGivesUp(t *testing.T) {
	t.Parallel()
	s := eventstest.Secured(t, &server.User{Username: "narrow", Password: "pw", Permissions: &server.Permissions{
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_worker.>"}},
	}})
	h := unconnected()
	h.Cfg.NATS = eventstest.As(s, "narrow")
	h.Conn = h.Connect(t, true)
	_, _, err := events.Ensure(eventstest.Deadline(t), h.Conn, h.Cfg)
	if !errors.Is(err, conn.ErrDenied) || !strings.Contains(err.Error(), "NATS_INBOX_PREFIX") || strings.Contains(err.Error(), "publish") {
		t.Errorf("got %v", err)
	}
	if n := count(h.Log.Lines(), "no answer can come"); n != 1 {
		t.Errorf("it is said %d times in\n%s", n, strings.Join(h.Log.Lines(), "\n"))
	}
}
