package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	service = "1234567890"
	token   = "sat-b5d2a9"
	path    = "/api/" + service + "/nativesso/logout"
)

// request is a call that the API takes, but for what a test changes in it.
type request struct {
	method, path, contentType, authorization, body string
}

func logoutOf(session string) request {
	return request{"POST", path, "application/json", "Bearer " + token, `{"sessionId":"` + session + `"}`}
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	raw    string

	Action        string `json:"action"`
	Count         int    `json:"count"`
	ResultCode    string `json:"resultCode"`
	ResultMessage string `json:"resultMessage"`
}

func TestFront(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit   func(*request)
		status int
		code   string
	}{
		"as it should be":           {func(*request) {}, 200, "A503001"},
		"a charset":                 {func(r *request) { r.contentType = "application/json; charset=utf-8" }, 200, "A503001"},
		"further members":           {func(r *request) { r.body = `{"x":[1],"sessionId":"s"}` }, 200, "A503001"},
		"another path":              {func(r *request) { r.path = "/api/" + service + "/auth/introspection" }, 404, "A001210"},
		"a longer path":             {func(r *request) { r.path += "/more" }, 404, "A001210"},
		"a path without a service":  {func(r *request) { r.path = "/api/nativesso/logout" }, 404, "A001210"},
		"another service":           {func(r *request) { r.path = "/api/42/nativesso/logout" }, 404, "A001210"},
		"GET":                       {func(r *request) { r.method = "GET" }, 405, "A001103"},
		"PUT":                       {func(r *request) { r.method = "PUT" }, 405, "A001103"},
		"no token":                  {func(r *request) { r.authorization = "" }, 401, "A001202"},
		"another token":             {func(r *request) { r.authorization += "x" }, 401, "A001203"},
		"another scheme":            {func(r *request) { r.authorization = "Basic " + token }, 401, "A001202"},
		"no content type":           {func(r *request) { r.contentType = "" }, 415, "A001102"},
		"another content type":      {func(r *request) { r.contentType = "application/x-www-form-urlencoded" }, 415, "A001102"},
		"no body":                   {func(r *request) { r.body = "" }, 400, "A001101"},
		"half a body":               {func(r *request) { r.body = `{"sessionId":"s"` }, 400, "A001101"},
		"a session ID as a number":  {func(r *request) { r.body = `{"sessionId":5}` }, 400, "A001101"},
		"no session ID":             {func(r *request) { r.body = `{}` }, 400, "A503201"},
		"an empty session ID":       {func(r *request) { r.body = `{"sessionId":""}` }, 400, "A503201"},
		"a session ID that is null": {func(r *request) { r.body = `{"sessionId":null}` }, 400, "A503201"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := start(t, Options{Token: token, Services: []string{"7", service}})
			r := logoutOf("s")
			test.edit(&r)
			got := r.send(t, api.URL())
			if got.status != test.status || got.ResultCode != test.code {
				t.Errorf("status %d, code %s, want %d and %s", got.status, got.ResultCode, test.status, test.code)
			}
			if want := map[string]string{"A503001": "OK", "A503201": "CALLER_ERROR"}[test.code]; got.Action != want {
				t.Errorf("action %q, want %q", got.Action, want)
			}
			if !strings.HasPrefix(got.ResultMessage, "["+test.code+"] ") || got.header.Get("Content-Type") != jsonType {
				t.Errorf("message %q, content type %q", got.ResultMessage, got.header.Get("Content-Type"))
			}
			want := 1
			if test.code == "A503201" { // it names no session
				want = 0
			}
			if n := api.Calls(); n != want {
				t.Errorf("%d calls, want %d", n, want)
			}
			if reached := len(api.Sessions()) > 0; reached != (test.status == 200) {
				t.Errorf("the ledger has %v", api.Sessions())
			}
		})
	}
}

// TestFrontOrder mends a request that has everything wrong, fault by fault.
func TestFrontOrder(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Token: token, Services: []string{service}})
	r := request{method: "GET", path: "/other", contentType: "text/plain"}
	for _, step := range []struct {
		mend   func()
		status int
		action string
	}{
		{func() {}, 404, ""},
		{func() { r.path = "/api/42/nativesso/logout" }, 405, ""},
		{func() { r.method = "POST" }, 401, ""},
		{func() { r.authorization = "Bearer " + token }, 404, ""},
		{func() { r.path = path }, 415, ""},
		{func() { r.contentType = "application/json" }, 400, ""},
		{func() { r.body = "{}" }, 400, "CALLER_ERROR"},
		{func() { r.body = `{"sessionId":"s"}` }, 200, "OK"},
	} {
		step.mend()
		if got := r.send(t, api.URL()); got.status != step.status || got.Action != step.action {
			t.Errorf("%+v: status %d, action %q, want %d and %q", r, got.status, got.Action, step.status, step.action)
		}
	}
}

// TestUnchecked: the zero options take any token for any service.
func TestUnchecked(t *testing.T) {
	t.Parallel()
	api := start(t, Options{})
	r := logoutOf("s")
	r.authorization = ""
	for _, id := range []string{"1", "a%20b", "%252e", "a%2Fb"} {
		r.path = "/api/" + id + "/nativesso/logout"
		if got := r.send(t, api.URL()); got.Action != "OK" {
			t.Errorf("%s: %+v, want OK", r.path, got)
		}
	}
	var services []string
	for _, call := range api.Session("s").Calls {
		services = append(services, call.Service)
	}
	if got, want := fmt.Sprintf("%q", services), `["1" "a b" "%2e" "a/b"]`; got != want {
		t.Errorf("services %s, want %s", got, want)
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	api := start(t, Options{})
	second, err := Start(Options{Addr: api.listener.Addr().String()})
	if err == nil {
		second.Close()
		t.Fatal("two servers listen on one port")
	}
	if !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	api, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := logoutOf("s").send(t, api.URL()); got.Action != "OK" {
		t.Errorf("%+v, want OK", got)
	}
	api.Close()
	if _, err := logoutOf("s").try(t.Context(), api.URL()); err == nil {
		t.Error("a closed server answered")
	}
}

func start(t *testing.T, options Options) *Server {
	t.Helper()
	api, err := Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return api
}

// send makes the call, which must get an answer.
func (r request) send(t *testing.T, base string) reply {
	t.Helper()
	got, err := r.try(t.Context(), base)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return got
}

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// try makes the call on a connection of its own. A reply comes with the error where the body was cut.
func (r request) try(ctx context.Context, base string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		return reply{}, err
	}
	for name, value := range map[string]string{"Content-Type": r.contentType, "Authorization": r.authorization} {
		if value != "" {
			out.Header.Set(name, value)
		}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(out)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	got := reply{status: answer.StatusCode, header: answer.Header}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	got.raw = string(body)
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") && err == nil {
		err = errors.Join(err, json.Unmarshal(body, &got))
	}
	return got, err
}
