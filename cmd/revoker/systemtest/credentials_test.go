package systemtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// authority is an operator with one account, whose users authenticate by credentials files.
type authority struct {
	t       *testing.T
	account nkeys.KeyPair
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newAuthority returns the authority and the server's configuration that trusts it.
func newAuthority(t *testing.T) (*authority, string) {
	t.Helper()
	key, text := must[nkeys.KeyPair](t), must[string](t)
	operator, account, system := key(nkeys.CreateOperator()), key(nkeys.CreateAccount()), key(nkeys.CreateAccount())
	public := func(pair nkeys.KeyPair) string { return text(pair.PublicKey()) }
	claims, systemClaims := jwt.NewAccountClaims(public(account)), jwt.NewAccountClaims(public(system))
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	trusted := jwt.NewOperatorClaims(public(operator))
	trusted.SystemAccount = public(system)
	config := fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n%s: %s\n%s: %s\n}\n",
		text(trusted.Encode(operator)), public(system), public(account), text(claims.Encode(operator)), public(system), text(systemClaims.Encode(operator)))
	return &authority{t: t, account: account}, config
}

// credentials writes a user's credentials, which expire after valid, over the file.
func (a *authority) credentials(file string, valid time.Duration) {
	a.t.Helper()
	user := must[nkeys.KeyPair](a.t)(nkeys.CreateUser())
	claims := jwt.NewUserClaims(must[string](a.t)(user.PublicKey()))
	claims.Expires = time.Now().Add(valid).Unix()
	token := must[string](a.t)(claims.Encode(a.account))
	content := must[[]byte](a.t)(jwt.FormatUserConfig(token, must[[]byte](a.t)(user.Seed())))
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		a.t.Fatal(err)
	}
}

// Credentials that expire in mid-run end the connection, and no refusal ends the reconnecting: once the file is renewed the
// worker goes on.
func TestExpiredCredentialsAreRenewed(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	folder := t.TempDir()
	a, config := newAuthority(t)
	file, own, trust := filepath.Join(folder, "worker.creds"), filepath.Join(folder, "test.creds"), filepath.Join(folder, "nats.conf")
	if err := os.WriteFile(trust, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.credentials(own, time.Hour)
	s.Login = nats.UserCredentials(own)
	server := s.StartNATS("--config", trust)
	s.Says(0, []string{"NATS_CREDS=" + own}, []string{"setup"})
	var w *testproc.Process
	said := func(message string) int { return strings.Count(w.Stderr.String(), `"msg":"`+message) }
	// The first events must be settled before the credentials expire. A machine that is too slow for that gets more time.
	for settled, valid := false, 3*time.Second; !settled; valid *= 2 {
		a.credentials(file, valid)
		w = testproc.Start(t, s.Env("NATS_CREDS="+file), testproc.Binary(t, "revoker"), "run")
		s.Publish(0, 10)
		testproc.WaitFor(t, "the first events, or expiry", func() bool {
			settled = s.Info().NumPending == 0 && s.Info().NumAckPending == 0 && len(s.Sessions()) == 10
			return settled || strings.Contains(w.Stderr.String(), "authentication expired") || strings.Contains(w.Stderr.String(), "authorization violation")
		})
		if !settled {
			w.Kill()
		}
	}
	testproc.WaitFor(t, "expiry", func() bool { return said("disconnected from NATS") == 1 })
	s.Publish(10, 20)
	refused := func() int { return strings.Count(server.Stderr.String(), "authentication error") }
	// Two in a row are what nats.go by itself gives up on.
	before := refused()
	testproc.WaitFor(t, "several refusals", func() bool { return refused() >= before+4 })
	if n := len(s.Sessions()); n != 10 {
		t.Errorf("%d sessions were called with expired credentials", n)
	}
	a.credentials(file, time.Hour)
	s.WaitDone()
	w.Signal(syscall.SIGTERM)
	if code := w.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for i := range 20 {
		if id := fmt.Sprintf("SECRET-session-%d", i); !s.Sessions()[id].Revoked() {
			t.Errorf("%s is not revoked", id)
		}
	}
	for _, once := range []string{"authentication expired", "disconnected from NATS", "authorization violation", "reconnected to NATS"} {
		if n := strings.Count(w.Stderr.String(), once); n != 1 {
			t.Errorf("%q %d times, want once:\n%s", once, n, w.Stderr.Tail())
		}
	}
}
