package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"revoker/config"
	"revoker/events/receive/logouttoken"
	"revoker/internal/testissuer"
	"revoker/internal/testleak"
)

func TestMain(m *testing.M) { testleak.Main(m) }

// watched is an issuer with its provider and a clock of the test's own.
type watched struct {
	*Issuer
	provider *testissuer.Issuer
	t        *testing.T
	ahead    atomic.Int64 // ns
}

func watch(t *testing.T, provider *testissuer.Issuer) *watched {
	t.Helper()
	w := &watched{t: t, provider: provider}
	w.Issuer = New(config.Issuer{Name: "login", URL: provider.URL, ClientIDs: []string{testissuer.ClientID}}, slog.New(slog.DiscardHandler))
	began := time.Now()
	w.now = func() time.Time { return began.Add(time.Duration(w.ahead.Load())) }
	t.Cleanup(w.Close)
	return w
}

func (w *watched) sleep(d time.Duration) { w.ahead.Add(int64(d)) }

// verify returns the reason of a refusal, "ok", or "later".
func (w *watched) verify(text string) string {
	w.t.Helper()
	token, err := logouttoken.Parse(text)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.Verify(w.t.Context(), token)
	var refused *logouttoken.Refusal
	switch {
	case errors.As(err, &refused):
		return string(refused.Reason)
	case errors.Is(err, ErrBudget):
		return "undecided"
	case err != nil:
		return "later"
	}
	return "ok"
}

func (w *watched) verifies(text, want string) {
	w.t.Helper()
	if have := w.verify(text); have != want {
		w.t.Errorf("got %s, want %s", have, want)
	}
}

// fresh is a token of now.
func (w *watched) fresh() string {
	at := w.now().Unix()
	return w.provider.Sign(w.provider.Claims("a", testissuer.Claims{"iat": at, "exp": at + 60}), nil)
}

func TestANewKeyIsAcceptedAtOnceAndAnOldOneSoonNoMore(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	old := w.provider.Token("a")
	w.verifies(old, "ok")
	w.provider.Use(testissuer.NewKey(t, "key-2"))
	w.verifies(old, "ok") // nothing tells that it is old
	w.verifies(w.provider.Token("b"), "ok")
	w.verifies(old, "key")
	w.verifies(old, "undecided") // the budget is used up, and the issuer may have the key again
	w.sleep(fetchInterval)
	w.verifies(old, "key")
}

// An issuer's key may have no ID, or always the same.
func TestANewKeyUnderTheSameIDIsAccepted(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	w.verifies(w.provider.Token("a"), "ok")
	w.provider.Use(testissuer.NewKey(t, "key-1"))
	w.verifies(w.provider.Token("b"), "ok")
}

// rotate gives the provider another key. It must be accepted within 15 s, though each second begins with forged tokens.
func (w *watched) rotate(forge func()) {
	w.t.Helper()
	w.provider.Use(testissuer.NewKey(w.t, "key-2"))
	fresh := w.fresh()
	for range 15 {
		forge()
		if w.verify(fresh) == "ok" {
			return
		}
		w.sleep(time.Second)
	}
	w.t.Error("the new key is not accepted after 15 s")
}

// 10,000 forged tokens make the issuer answer at most 10 requests in any minute, and a new key is accepted within 15 s all the same.
func TestForgedKeyIDsDoNotHammerTheIssuer(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	w.verifies(w.provider.Token("a"), "ok")
	forger := testissuer.NewKey(t, "")
	forge := func(n int) {
		forger.ID = fmt.Sprintf("forged-%d", n)
		w.verify(testissuer.Sign(t, forger, w.provider.Claims("a", nil), nil))
	}
	before := w.provider.Requests()
	var forging sync.WaitGroup
	for worker := range 4 {
		forging.Go(func() {
			for n := range 2500 {
				w.sleep(24 * time.Millisecond / 4) // a minute for all of them
				mine := testissuer.Sign(t, testissuer.Key{Private: forger.Private, ID: fmt.Sprintf("forged-%d-%d", worker, n), Algorithm: jose.ES256}, w.provider.Claims("a", nil), nil)
				w.verify(mine)
			}
		})
	}
	forging.Wait()
	w.verifies(testissuer.Sign(t, testissuer.NewKey(t, "forged"), w.provider.Claims("a", nil), nil), "undecided")
	if n := w.provider.Requests() - before; n > 10 || n < 3 {
		t.Errorf("%d requests in a minute, want 3 to 10", n)
	}
	w.rotate(func() {
		for n := range 20 {
			forge(n)
		}
	})
}

func TestAnIssuerThatIsAwayIsSurvived(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	w.provider.Away(true)
	w.verifies(w.provider.Token("a"), "later")
	w.provider.Away(false)
	w.verifies(w.provider.Token("a"), "ok")
	w.provider.Away(true)
	w.sleep(23 * time.Hour)
	w.verifies(w.fresh(), "ok")
	for range 2 * fetchBurst { // also when the budget is used up
		w.verifies(testissuer.Sign(t, testissuer.NewKey(t, "new"), w.provider.Claims("a", nil), nil), "later")
	}
	w.sleep(2 * time.Hour) // a key may have been withdrawn meanwhile
	w.verifies(w.fresh(), "later")
	w.provider.Away(false)
	w.sleep(fetchInterval)
	w.verifies(w.fresh(), "ok")
}

// What the budget allowed is not asked for again, or the keys would never be known.
func TestAFetchThatTheBudgetCutsOffIsGoneOnWith(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	w.provider.Away(true)
	for range fetchBurst - 1 {
		w.verifies(w.provider.Token("a"), "later")
	}
	w.provider.Away(false)
	w.verifies(w.provider.Token("a"), "later")
	w.sleep(fetchInterval)
	w.verifies(w.provider.Token("a"), "ok")
}

// A new key is known within 15 s also if the metadata gets old while forged key IDs use the budget up.
func TestOldMetadataDoesNotDelayANewKey(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	w.verifies(w.provider.Token("a"), "ok")
	forge := func() {
		w.verify(testissuer.Sign(t, testissuer.NewKey(t, "forged"), w.provider.Claims("a", nil), nil))
	}
	w.sleep(discoverEvery - fetchInterval/2)
	for range fetchBurst {
		forge()
	}
	w.rotate(forge)
}

// An issuer may change the algorithm with its key. Forged algorithms cost no more requests than forged key IDs.
func TestANewAlgorithmIsAccepted(t *testing.T) {
	t.Parallel()
	provider := testissuer.New(t)
	provider.Describe("id_token_signing_alg_values_supported", []string{"ES256"})
	w := watch(t, provider)
	w.verifies(provider.Token("a"), "ok")
	forged := testissuer.Sign(t, provider.Key384(t), provider.Claims("a", nil), nil)
	w.verifies(forged, "algorithm")
	before := provider.Requests()
	for range 100 {
		w.sleep(time.Minute / 100)
		w.verify(forged)
	}
	if n := provider.Requests() - before; n > 10 {
		t.Errorf("%d requests in a minute, want at most 10", n)
	}
	w.sleep(metadataInterval)
	provider.Use(testissuer.RSAKey(t, "key-2"))
	provider.Describe("id_token_signing_alg_values_supported", []string{"RS256"})
	w.verifies(w.fresh(), "ok")
}

// The keys move, and the metadata with them.
func TestMetadataIsReadAgainIfTheKeysAreGone(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	w.verifies(w.provider.Token("a"), "ok")
	w.provider.Use(testissuer.NewKey(t, "key-2"))
	moved := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer moved.Close()
	w.mu.Lock()
	known := *w.known.Load()
	known.keysURL = moved.URL
	w.known.Store(&known)
	w.mu.Unlock()
	w.verifies(w.provider.Token("b"), "later")
	w.sleep(3 * fetchInterval)
	w.verifies(w.provider.Token("b"), "ok")
}

func TestMetadataAndKeysThatMustNotBeBelieved(t *testing.T) {
	t.Parallel()
	weak := testissuer.NewKey(t, "key-1").JWK()
	for name, c := range map[string]struct {
		change func(*testissuer.Issuer)
		want   string
	}{
		"of another issuer":       {func(i *testissuer.Issuer) { i.Describe("issuer", "https://other.example") }, "of another issuer"},
		"no keys":                 {func(i *testissuer.Issuer) { i.Describe("jwks_uri", nil) }, "not a URL"},
		"keys elsewhere in clear": {func(i *testissuer.Issuer) { i.Describe("jwks_uri", "http://keys.example/keys") }, "must be https://"},
		"keys in a file":          {func(i *testissuer.Issuer) { i.Describe("jwks_uri", "file:///etc/keys") }, "not a URL"},
		"symmetric alone": {func(i *testissuer.Issuer) {
			i.Describe("id_token_signing_alg_values_supported", []string{"HS256", "none"})
		}, "no algorithm"},
		"keys that are no set": {func(i *testissuer.Issuer) { i.Publish([]string{"a"}) }, "not a JWK Set"},
		"an encryption key alone": {func(i *testissuer.Issuer) {
			weak.Use = "enc"
			i.Publish(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{weak}})
		}, "no key"},
		"a symmetric key": {func(i *testissuer.Issuer) {
			i.Publish(map[string]any{"keys": []any{map[string]string{"kty": "oct", "k": "c2VjcmV0", "kid": "key-1"}}})
		}, "no key"},
		"an answer without an end":  {func(i *testissuer.Issuer) { i.Publish(strings.Repeat("a", maxBody)) }, "larger than"},
		"an issuer that is nowhere": {func(i *testissuer.Issuer) { i.URL = "http://127.0.0.1:1" }, "refused"},
	} {
		provider := testissuer.New(t)
		c.change(provider)
		w := watch(t, provider)
		if _, err := w.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if _, err := w.Known(); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: it is believed: %v", name, err)
		}
	}
}

// A private key, a key of an unknown kind and a weak one do not keep the good one from being used.
func TestKeysThatCannotBeUsedAreIgnored(t *testing.T) {
	t.Parallel()
	provider := testissuer.New(t)
	provider.Publish(map[string]any{"keys": []any{
		map[string]string{"kty": "OKP", "crv": "Ed448", "x": "AAAA", "kid": "a"}, map[string]string{"kty": "new", "kid": "b"},
		jose.JSONWebKey{Key: provider.Key().Private, KeyID: "private", Algorithm: "ES256"}, provider.Key().JWK(),
		withOperations(t, testissuer.RSAKey(t, "encrypts"), "encrypt"),
	}})
	w := watch(t, provider)
	w.verifies(provider.Token("a"), "ok")
	if known, err := w.Known(); err != nil || len(known.Keys) != 1 {
		t.Errorf("%v, %v", known, err)
	}
}

// withOperations is a key that says what it is for.
func withOperations(t *testing.T, key testissuer.Key, operations ...string) map[string]any {
	t.Helper()
	text, err := json.Marshal(key.JWK())
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "use")
	members["key_ops"] = operations
	return members
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	provider := testissuer.New(t)
	front := httptest.NewServer(http.RedirectHandler(provider.URL+wellKnown, http.StatusFound))
	defer front.Close()
	w := watch(t, provider)
	w.URL = front.URL
	if _, err := w.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("got %v", err)
	}
}

// Run fetches at its start, and has ended all fetches when it returns.
func TestRunEndsWithItsFetches(t *testing.T) {
	t.Parallel()
	w := watch(t, testissuer.New(t))
	ctx, cancel := context.WithCancel(t.Context())
	fetched := make(chan error, 1)
	w.Fetched = func(err error) { fetched <- err }
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	if err := <-fetched; err != nil {
		t.Error(err)
	}
	cancel()
	<-ended
	if _, err := w.Refresh(t.Context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}
