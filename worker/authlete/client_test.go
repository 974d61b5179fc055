package authlete

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/worker/authlete/sim"
)

const (
	testService = "1234567890"
	testSession = "sid-7c1e0f"
	testToken   = "sat-b5d2a9"
)

// TestLogoutAnswers goes through what the API, its front and a gateway between can answer.
func TestLogoutAnswers(t *testing.T) {
	t.Parallel()
	raw := func(status int, contentType, body string) sim.Answer {
		return sim.Answer{Kind: sim.Raw, Status: status, ContentType: contentType, Body: body}
	}
	front := func(status int, code, message string) Response {
		return Response{Status: status, ResultCode: code, ResultMessage: message}
	}
	serverError := Response{Action: ActionServerError, ResultCode: "A503101", ResultMessage: "[A503101] An error occurred on the server side."}
	callerError := Response{Action: ActionCallerError, ResultCode: "A503201", ResultMessage: "[A503201] The request has a problem."}
	const deleted = "[A503001] The /nativesso/logout API call successfully deleted %d access/refresh token record(s)."
	ok := func(count, message string, n int) Response {
		return Response{Status: 200, Action: ActionOK, Count: n, ResultCode: "A503001", ResultMessage: strings.Replace(message, "%d", count, 1)}
	}

	for name, test := range map[string]struct {
		answer sim.Answer
		tokens int
		want   Response
		err    string // part of the error; none if empty
	}{
		"OK, two records deleted": {tokens: 2, want: ok("2", deleted, 2)},
		"OK, none left":           {tokens: 0, want: ok("0", deleted, 0)},

		"SERVER_ERROR with 500": {answer: sim.Answer{Kind: sim.ServerError}, want: withStatus(serverError, 500)},
		"SERVER_ERROR with 200": {answer: sim.Answer{Kind: sim.ServerError, Status: 200}, want: withStatus(serverError, 200)},
		"CALLER_ERROR with 400": {answer: sim.Answer{Kind: sim.CallerError}, want: withStatus(callerError, 400)},
		"CALLER_ERROR with 200": {answer: sim.Answer{Kind: sim.CallerError, Status: 200}, want: withStatus(callerError, 200)},

		"400 without an action": {answer: sim.Answer{Kind: sim.BadRequest},
			want: front(400, "A001101", "[A001101] The request body could not be read as JSON.")},
		"401": {answer: sim.Answer{Kind: sim.Unauthorized},
			want: front(401, "A001202", "[A001202] /nativesso/logout, Authorization header is missing.")},
		"403": {answer: sim.Answer{Kind: sim.Forbidden},
			want: front(403, "A001215", "[A001215] /nativesso/logout, the access token is not allowed for this service.")},
		"404": {answer: sim.Answer{Kind: sim.NotFound},
			want: front(404, "A001210", "[A001210] /nativesso/logout, there is no such service.")},
		"405": {answer: sim.Answer{Kind: sim.WrongMethod},
			want: front(405, "A001103", "[A001103] /nativesso/logout, the method must be POST.")},
		"415": {answer: sim.Answer{Kind: sim.WrongType},
			want: front(415, "A001102", "[A001102] /nativesso/logout, the content type must be application/json.")},
		"500 without an action": {answer: raw(500, "application/json", `{"resultCode":"A000101","resultMessage":"[A000101] Broken."}`),
			want: front(500, "A000101", "[A000101] Broken.")},

		"429 with Retry-After": {answer: sim.Answer{Kind: sim.TooMany, RetryAfter: "7"},
			want: Response{Status: 429, ResultCode: "A001901", ResultMessage: "[A001901] /nativesso/logout, too many requests.", RetryAfter: 7 * time.Second}},
		"503 with Retry-After": {answer: sim.Answer{Kind: sim.Unavailable, RetryAfter: "30"},
			want: Response{Status: 503, RetryAfter: 30 * time.Second}},
		"502":         {answer: raw(502, "text/html", "<html>Bad Gateway</html>"), want: Response{Status: 502}},
		"503":         {answer: sim.Answer{Kind: sim.Unavailable}, want: Response{Status: 503}},
		"504":         {answer: raw(504, "text/plain", "upstream request timeout"), want: Response{Status: 504}},
		"HTML":        {answer: sim.Answer{Kind: sim.HTML}, want: Response{Status: 200}},
		"empty":       {answer: sim.Answer{Kind: sim.Empty}, want: Response{Status: 200}},
		"no content":  {answer: raw(204, "", ""), want: Response{Status: 204}},
		"unknown":     {answer: raw(200, "application/json", `{"action":"MAYBE","count":3}`), want: Response{Status: 200, Action: "MAYBE", Count: 3}},
		"a cut":       {answer: sim.Answer{Kind: sim.Cut}, err: "calling the logout API: EOF"},
		"a long body": {answer: raw(200, "application/json", `{"action":"OK"}`+strings.Repeat(" ", maxBody)), want: Response{Status: 200}, err: "more than 65536 bytes"},
		"the longest body that is read": {answer: raw(200, "application/json", `{"action":"OK"}`+strings.Repeat(" ", maxBody-len(`{"action":"OK"}`))),
			want: Response{Status: 200, Action: ActionOK}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := startAPI(t, sim.Options{Token: testToken, Services: []string{testService}})
			api.Issue(testSession, test.tokens)
			api.Script(testSession, test.answer)
			got, err := logout(t, newClient(t, api.URL()))
			if got != test.want {
				t.Errorf("response\n%+v, want\n%+v", got, test.want)
			}
			checkError(t, err, test.err)
		})
	}
}

func withStatus(r Response, status int) Response {
	r.Status = status
	return r
}

// TestLogoutCutBody: an action may stand in the half that arrived, and must not count.
func TestLogoutCutBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("Retry-After", "3")
		_, _ = w.Write([]byte(`{"action":"OK","count":2}`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	got, err := logout(t, newClient(t, server.URL))
	if want := (Response{Status: 200, RetryAfter: 3 * time.Second}); got != want {
		t.Errorf("response %+v, want %+v", got, want)
	}
	checkError(t, err, "reading the logout API's answer: unexpected EOF")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit func(*config.Config)
		want string
	}{
		"no base URL":      {func(c *config.Config) { c.API.BaseURL = "" }, "AUTHLETE_BASE_URL"},
		"http in clear":    {func(c *config.Config) { c.API.BaseURL = "http://us.authlete.com" }, "AUTHLETE_BASE_URL"},
		"no service":       {func(c *config.Config) { c.API.ServiceID = "" }, "AUTHLETE_SERVICE_ID"},
		"a dot as service": {func(c *config.Config) { c.API.ServiceID = ".." }, "AUTHLETE_SERVICE_ID"},
		"no token":         {func(c *config.Config) { c.API.Bearer = config.Secret{} }, "AUTHLETE_BEARER"},
		"token with a line end": {func(c *config.Config) { c.API.Bearer = config.NewSecret(testToken + "\r\n") },
			"AUTHLETE_BEARER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig("http://127.0.0.1:1")
			test.edit(&cfg)
			_, err := New(cfg, "test")
			checkError(t, err, test.want)
		})
	}
}

func testConfig(base string) config.Config {
	return config.Config{
		API:            config.API{BaseURL: base, ServiceID: testService, Bearer: config.NewSecret(testToken)},
		Concurrency:    16,
		RequestTimeout: patience,
	}
}

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// newClient returns a client of the API at base.
func newClient(t *testing.T, base string, edits ...func(*config.Config)) *Client {
	t.Helper()
	cfg := testConfig(base)
	for _, edit := range edits {
		edit(&cfg)
	}
	c, err := New(cfg, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func requestTimeout(d time.Duration) func(*config.Config) {
	return func(c *config.Config) { c.RequestTimeout = d }
}

func startAPI(t *testing.T, options sim.Options) *sim.Server {
	t.Helper()
	api, err := sim.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return api
}

// logout calls the API once, and fails the test if the error gives a secret away or the call outlasts all patience.
func logout(t *testing.T, c *Client) (Response, error) {
	t.Helper()
	return logoutOf(t.Context(), t, c, testService, testSession)
}

func logoutOf(ctx context.Context, t *testing.T, c *Client, service, session string) (Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	response, err := c.Logout(ctx, service, session)
	if took := time.Since(began); took >= patience {
		t.Errorf("the call took %s", took)
	}
	if err != nil && (strings.Contains(err.Error(), testToken) || strings.Contains(err.Error(), session)) {
		t.Errorf("the error gives a secret away: %v", err)
	}
	return response, err
}

// checkError holds an error against the part that it must have; an empty one stands for no error.
func checkError(t *testing.T, err error, part string) {
	t.Helper()
	switch {
	case part == "" && err != nil:
		t.Errorf("error: %v", err)
	case part != "" && (err == nil || !strings.Contains(err.Error(), part)):
		t.Errorf("error %v, want one with %q", err, part)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
