//go:build tools

package systemtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
	"revoker/worker/authlete/sim"
)

// A real provider, a real login and a real logout: the session's tokens are deleted. A client whose sid is not the session ID of the
// API gets a success too, and nothing is deleted.
func TestARealProvider(t *testing.T) {
	t.Parallel()
	api, err := sim.Start(sim.Options{Token: testsite.Token, Services: []string{testsite.ServiceID}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	s := testsite.New(t, testsite.Simulator{})
	s.APIURL = api.URL()
	s.StartNATS()
	ops := testport.Address(t)
	s.StartWorker("REVOKER_OPS_ADDR=" + ops)
	port, receiver := testport.Free(t), testport.Address(t)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", port)
	provider := startProvider(t, port, "http://"+receiver+"/backchannel-logout")
	startReceiver(s, receiver, fmt.Sprintf(`[{"name":"provider","issuer":%q,"clientIds":["matching","mismatched"]}]`, issuer))

	user := newUser(t, issuer)
	matching, mismatched := user.signIn("matching"), user.signIn("mismatched")
	if matching == "" || mismatched == "" || matching == mismatched {
		t.Fatalf("the sids are %q and %q, want two", matching, mismatched)
	}
	// The authorization server passed the first one to the API as the sessionId, whose tokens these are.
	api.Issue(matching, 2)
	user.signOut()
	for _, line := range []string{"told matching", "told mismatched"} {
		testproc.WaitFor(t, line, func() bool { return strings.Contains(provider.Stdout.String(), line+"\n") })
	}
	testproc.WaitFor(t, "both calls", func() bool { return len(api.Session(matching).Calls) == 1 && len(api.Session(mismatched).Calls) == 1 })
	if session := api.Session(matching); session.Tokens != 0 || session.RevokedAt.IsZero() {
		t.Errorf("the tokens are not deleted: %+v", session)
	}
	testproc.WaitFor(t, "the empty revocation", func() bool {
		n, _ := sample(scrape(t, "http://"+ops), `revoker_empty_revocations_total{source="provider"}`)
		return n == 1
	})
	if strings.Contains(provider.Stdout.String(), "refused") {
		t.Error(provider.Stdout.String())
	}
}

func startProvider(t *testing.T, port int, logoutURI string) *testproc.Process {
	t.Helper()
	folder := os.Getenv("OIDC_PROVIDER")
	if folder == "" {
		t.Fatal("OIDC_PROVIDER is not set: the folder of npm's oidc-provider")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("no node: install Debian's nodejs")
	}
	script, err := filepath.Abs("testdata/provider.mjs")
	if err != nil {
		t.Fatal(err)
	}
	p := testproc.Start(t, []string{"OIDC_PROVIDER=" + folder, fmt.Sprintf("PORT=%d", port), "LOGOUT_URI=" + logoutURI}, node, script)
	testproc.WaitFor(t, "the provider", func() bool {
		if !p.Running() {
			t.Fatalf("the provider ended:\n%s", p.Stderr.String())
		}
		return strings.Contains(p.Stdout.String(), "listening")
	})
	return p
}

// user is somebody with a browser.
type user struct {
	t        *testing.T
	provider string
	client   *http.Client
}

func newUser(t *testing.T, provider string) *user {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t: t, provider: provider, client: &http.Client{Jar: jar, Timeout: testproc.Timeout}}
	u.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "client.example" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return u
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	formField  = regexp.MustCompile(`<input[^>]* name="([^"]+)"(?: value="([^"]*)")?`)
)

// signIn signs in to a client, consents, and returns the sid of its ID token.
func (u *user) signIn(client string) string {
	u.t.Helper()
	response, page := u.ask(http.MethodGet, u.provider+"/auth?"+url.Values{
		"client_id": {client}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {"https://client.example/callback"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, // RFC 7636, appendix B
	}.Encode(), nil)
	for response.StatusCode == http.StatusOK {
		response, page = u.submit(page, url.Values{"login": {"alice"}, "password": {"any"}})
	}
	location, err := response.Location()
	if err != nil || location.Query().Get("code") == "" {
		u.t.Fatalf("no code: %d %v\n%s", response.StatusCode, location, page)
	}
	_, tokens := u.ask(http.MethodPost, u.provider+"/token", url.Values{
		"client_id": {client}, "client_secret": {"client-secret"}, "grant_type": {"authorization_code"}, "code": {location.Query().Get("code")},
		"redirect_uri": {"https://client.example/callback"}, "code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	})
	var answer struct {
		IDToken string `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(tokens), &answer); err != nil || strings.Count(answer.IDToken, ".") != 2 {
		u.t.Fatalf("no ID token: %s", tokens)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(answer.IDToken, ".")[1])
	if err != nil {
		u.t.Fatal(err)
	}
	var claims struct{ SID string }
	if err := json.Unmarshal(payload, &claims); err != nil {
		u.t.Fatal(err)
	}
	return claims.SID
}

// signOut ends the session at the provider.
func (u *user) signOut() {
	u.t.Helper()
	_, page := u.ask(http.MethodGet, u.provider+"/session/end", nil)
	if response, page := u.submit(page, url.Values{"logout": {"yes"}}); response.StatusCode != http.StatusOK {
		u.t.Fatalf("%d\n%s", response.StatusCode, page)
	}
}

// submit sends the form of a page, with the fields that it has already and those given.
func (u *user) submit(page string, fields url.Values) (*http.Response, string) {
	u.t.Helper()
	action := formAction.FindStringSubmatch(page)
	if action == nil {
		u.t.Fatalf("no form in\n%s", page)
	}
	for _, field := range formField.FindAllStringSubmatch(page, -1) {
		if fields.Get(field[1]) == "" {
			fields.Set(field[1], html.UnescapeString(field[2]))
		}
	}
	return u.ask(http.MethodPost, html.UnescapeString(action[1]), fields)
}

func (u *user) ask(method, address string, form url.Values) (*http.Response, string) {
	u.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = u.provider + address
	}
	request, err := http.NewRequestWithContext(u.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		u.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := u.client.Do(request)
	if err != nil {
		u.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return response, string(body)
}
