package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		answer            Answer
		status            int
		action, code, raw string // a part of the body
		contentType       string
	}{
		{Answer{}, 200, "OK", "A503001", `"count":3`, jsonType},
		{Answer{Kind: ServerError}, 500, "SERVER_ERROR", "A503101", "", jsonType},
		{Answer{Kind: ServerError, Status: 200}, 200, "SERVER_ERROR", "A503101", "", jsonType},
		{Answer{Kind: CallerError}, 400, "CALLER_ERROR", "A503201", "", jsonType},
		{Answer{Kind: CallerError, Status: 200}, 200, "CALLER_ERROR", "A503201", "", jsonType},
		{Answer{Kind: BadRequest}, 400, "", "A001101", "", jsonType},
		{Answer{Kind: Unauthorized}, 401, "", "A001202", "", jsonType},
		{Answer{Kind: WrongToken}, 401, "", "A001203", "access token is not valid", jsonType},
		{Answer{Kind: Forbidden}, 403, "", "A001215", "", jsonType},
		{Answer{Kind: NotFound}, 404, "", "A001210", "", jsonType},
		{Answer{Kind: WrongMethod}, 405, "", "A001103", "", jsonType},
		{Answer{Kind: WrongType}, 415, "", "A001102", "", jsonType},
		{Answer{Kind: TooMany, RetryAfter: "9"}, 429, "", "A001901", "", jsonType},
		{Answer{Kind: Unavailable, RetryAfter: "Fri, 31 Dec 9999 23:59:59 GMT"}, 503, "", "", "<h1>503 ", "text/html"},
		{Answer{Kind: Unavailable, Status: 502}, 502, "", "", "<html>", "text/html"},
		{Answer{Kind: HTML}, 200, "", "", "<html>", "text/html"},
		{Answer{Kind: Empty}, 200, "", "", "", ""},
		{Answer{Kind: Raw, Body: "as given"}, 200, "", "", "as given", ""},
		{Answer{Kind: Raw, Status: 307, Location: "/x", ContentType: "text/x", Body: "moved"}, 307, "", "", "moved", "text/x"},
	} {
		t.Run(fmt.Sprint(test.answer.Kind, test.status), func(t *testing.T) {
			t.Parallel()
			api := start(t, Options{Tokens: 3})
			api.Script("s", test.answer)
			got := logoutOf("s").send(t, api.URL())
			if got.status != test.status || got.Action != test.action || got.ResultCode != test.code || !strings.Contains(got.raw, test.raw) {
				t.Errorf("status %d, action %q, code %q, body %s", got.status, got.Action, got.ResultCode, got.raw)
			}
			if test.answer.Kind == Empty && got.raw != "" {
				t.Errorf("body %q, want none", got.raw)
			}
			for name, want := range map[string]string{"Retry-After": test.answer.RetryAfter, "Location": test.answer.Location} {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s %q, want %q", name, value, want)
				}
			}
			if value := got.header.Get("Content-Type"); test.contentType != "" && value != test.contentType {
				t.Errorf("content type %q, want %q", value, test.contentType)
			}
			if s := api.Session("s"); s.Revoked() != (test.action == "OK") || len(s.Calls) != 1 || s.Calls[0].Kind != test.answer.Kind {
				t.Errorf("the ledger has %+v", s)
			}
		})
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	api := start(t, Options{Tokens: 3})
	api.Script("s", Answer{Kind: Cut}, Answer{Kind: CutBody, RetryAfter: "4"})

	if got, err := logoutOf("s").try(t.Context(), api.URL()); !errors.Is(err, io.EOF) || got.status != 0 {
		t.Errorf("cut: %+v, %v, want no answer and %v", got, err, io.EOF)
	}
	got, err := logoutOf("s").try(t.Context(), api.URL())
	if !errors.Is(err, io.ErrUnexpectedEOF) || got.status != 200 || got.raw != `{"action":"OK","count":` || got.header.Get("Retry-After") != "4" {
		t.Errorf("cut body: %+v, %v, want 200, half a body and %v", got, err, io.ErrUnexpectedEOF)
	}
	if s := api.Session("s"); s.Revoked() || s.Tokens != 3 || len(s.Calls) != 2 {
		t.Errorf("the ledger has %+v, want two calls and all tokens", s)
	}
}

// TestHang: the server waits for the client, and knows when it went.
func TestHang(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]Answer{"hang": {Kind: Hang}, "latency": {Delay: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := start(t, Options{})
			api.Script("s", answer)
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan error)
			go func() {
				_, err := logoutOf("s").try(ctx, api.URL())
				gone <- err
			}()
			eventually(t, "the call", func() bool { return api.Calls() == 1 })
			select {
			case err := <-gone:
				t.Fatalf("the call came back: %v", err)
			default:
			}
			cancel()
			if err := <-gone; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
			eventually(t, "the call in the ledger", func() bool { return len(api.Session("s").Calls) == 1 })
			if s := api.Session("s"); s.Calls[0].Kind != Hang || s.Revoked() {
				t.Errorf("the ledger has %+v, want a call that hung", s)
			}
		})
	}
}

func TestEndless(t *testing.T) {
	t.Parallel()
	api := start(t, Options{})
	api.Script("s", Answer{Kind: Endless})
	got, err := logoutOf("s").try(t.Context(), api.URL())
	if len(got.raw) != 1<<20 || got.status != 200 || err != nil {
		t.Errorf("status %d, %d bytes, %v, want as many as the test reads", got.status, len(got.raw), err)
	}
}

// TestStatusOfCutAndEndless: Status replaces the status of every kind that has an answer.
func TestStatusOfCutAndEndless(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{CutBody, Endless} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			api := start(t, Options{})
			api.Script("s", Answer{Kind: kind, Status: http.StatusUnauthorized})
			if got, _ := logoutOf("s").try(t.Context(), api.URL()); got.status != http.StatusUnauthorized {
				t.Errorf("status %d, want %d", got.status, http.StatusUnauthorized)
			}
		})
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	const least = 20 * time.Millisecond
	for name, test := range map[string]struct {
		options Options
		answer  Answer
	}{
		"latency":              {Options{Latency: least}, Answer{}},
		"latency and jitter":   {Options{Latency: least, Jitter: 5 * time.Millisecond}, Answer{}},
		"a delay":              {Options{}, Answer{Delay: least}},
		"a delay and latency":  {Options{Latency: least / 2}, Answer{Delay: least / 2}},
		"of a refusal by rule": {Options{Latency: least}, Answer{Kind: Unavailable}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.Rule = func(string, int) Answer { return test.answer }
			api := start(t, test.options)
			for range 5 {
				logoutOf("s").send(t, api.URL())
			}
			for i, call := range api.Session("s").Calls {
				if took := call.Ended.Sub(call.Began); took < least {
					t.Errorf("call %d took %s, want %s or more", i, took, least)
				}
			}
		})
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
