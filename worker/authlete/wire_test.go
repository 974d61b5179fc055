package authlete

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// wire is what a server saw of one request.
type wire struct {
	method, uri, body string
	header            http.Header
}

// record returns a server that answers OK and hands over what it was asked.
func record(t *testing.T) (*httptest.Server, <-chan wire) {
	t.Helper()
	requests := make(chan wire, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- wire{r.Method, r.RequestURI, string(body), r.Header}
		_, _ = io.WriteString(w, `{"action":"OK","count":0}`)
	}))
	t.Cleanup(server.Close)
	return server, requests
}

func TestRequest(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	if _, err := logout(t, newClient(t, server.URL)); err != nil {
		t.Fatal(err)
	}
	got := <-requests
	if got.method != "POST" || got.uri != "/api/1234567890/nativesso/logout" {
		t.Errorf("%s %s, want POST /api/1234567890/nativesso/logout", got.method, got.uri)
	}
	if want := `{"sessionId":"` + testSession + `"}`; got.body != want {
		t.Errorf("body %s, want %s", got.body, want)
	}
	// All of them: an Idempotency-Key in particular, which the client names to net/http alone, must not be sent.
	want := http.Header{
		"Accept":         {"application/json"},
		"Authorization":  {"Bearer " + testToken},
		"Content-Length": {"26"},
		"Content-Type":   {"application/json"},
		"User-Agent":     {"revoker/1.2.3"},
	}
	if !maps.EqualFunc(got.header, want, slices.Equal) {
		t.Errorf("header\n%v, want\n%v", got.header, want)
	}
}

func TestRequestPath(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ prefix, service, want string }{
		"no slash":                 {"", "42", "/api/42/nativesso/logout"},
		"a slash":                  {"/", "42", "/api/42/nativesso/logout"},
		"two slashes":              {"//", "42", "/api/42/nativesso/logout"},
		"a prefix":                 {"/authlete/v3", "42", "/authlete/v3/api/42/nativesso/logout"},
		"a prefix and a slash":     {"/authlete/v3/", "42", "/authlete/v3/api/42/nativesso/logout"},
		"an escaped prefix":        {"/a%2Fb", "42", "/a%2Fb/api/42/nativesso/logout"},
		"a slash in the service":   {"", "a/b", "/api/a%2Fb/nativesso/logout"},
		"a space":                  {"", "a b", "/api/a%20b/nativesso/logout"},
		"an escaped dot":           {"", "%2e", "/api/%252e/nativesso/logout"},
		"an escaped dot, a prefix": {"/v3/", "%2e%2e", "/v3/api/%252e%252e/nativesso/logout"},
		"a query":                  {"", "a?b=c", "/api/a%3Fb=c/nativesso/logout"},
		"a fragment":               {"", "a#b", "/api/a%23b/nativesso/logout"},
		"dots within":              {"", "../x", "/api/..%2Fx/nativesso/logout"},
		"a semicolon":              {"", "a;b", "/api/a%3Bb/nativesso/logout"},
		"beyond ASCII":             {"", "ü", "/api/%C3%BC/nativesso/logout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, requests := record(t)
			if _, err := logoutOf(t.Context(), t, newClient(t, server.URL+test.prefix), test.service, testSession); err != nil {
				t.Fatal(err)
			}
			got := (<-requests).uri
			if got != test.want {
				t.Fatalf("path %s, want %s", got, test.want)
			}
			segments := strings.Split(got, "/")
			if service, err := url.PathUnescape(segments[len(segments)-3]); err != nil || service != test.service {
				t.Errorf("the path names service %q (%v), want %q", service, err, test.service)
			}
		})
	}
}

// TestRequestSessionID: the API must get the very ID, whatever is in it.
func TestRequestSessionID(t *testing.T) {
	t.Parallel()
	server, requests := record(t)
	c := newClient(t, server.URL)
	for _, id := range []string{
		"plain", `"quoted"`, `back\slash\u0041`, "<script>&amp;</script>", "line\u2028separators\u2029", "Ünïcödé-セッション-🔑",
		"tab\tline\r\nnull\x00", " spaces ", "\ufeffmark", "\ufffd", "{}", strings.Repeat("long", 5000),
	} {
		if _, err := logoutOf(t.Context(), t, c, testService, id); err != nil {
			t.Fatal(err)
		}
		body := (<-requests).body
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%q: body %s: %v", id, body, err)
		}
		if want := map[string]string{"sessionId": id}; !maps.Equal(got, want) {
			t.Errorf("the body says %q, want %q", got, want)
		}
	}
}

// TestRedirectIsNotFollowed: elsewhere, the token and the session ID would be given to a stranger.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			elsewhere, requests := record(t)
			server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/api/1/nativesso/logout", status))
			t.Cleanup(server.Close)
			got, err := logout(t, newClient(t, server.URL))
			if want := (Response{Status: status}); got != want || err != nil {
				t.Errorf("response %+v, %v, want %+v", got, err, want)
			}
			if len(requests) > 0 {
				t.Errorf("the redirect was followed: %+v", <-requests)
			}
		})
	}
}
