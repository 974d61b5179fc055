package main

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"revoker/config"
	"revoker/events/admin"
	"revoker/worker"
	"revoker/worker/authlete"
)

func TestWhatAnAnswerTells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		response authlete.Response
		err      error
		state    admin.State
		remedy   string
		detail   string
	}{
		"refused for the session": {authlete.Response{Status: 400, Action: authlete.ActionCallerError}, nil, admin.OK, "", "the token is accepted"},
		"taken":                   {authlete.Response{Status: 200, Action: authlete.ActionOK}, nil, admin.OK, "", "the token is accepted"},
		"another 400":             {authlete.Response{Status: 400, ResultCode: "A001101"}, nil, admin.Warning, "--call SESSION_ID", "no action (HTTP 400, A001101)"},
		"a gateway's 400":         {authlete.Response{Status: 400}, nil, admin.Failed, "AUTHLETE_BASE_URL", "no action (HTTP 400)"},
		"no token":                {authlete.Response{Status: 401}, nil, admin.Failed, "AUTHLETE_BEARER", "the API rejected the token (HTTP 401)"},
		"not this service's":      {authlete.Response{Status: 403, ResultCode: "A001215"}, nil, admin.Failed, "REVOKER_ALLOWED_SERVICE_IDS", "does not let the token use this service (HTTP 403, A001215)"},
		"unknown":                 {authlete.Response{Status: 404, ResultCode: "A001210"}, nil, admin.Failed, "AUTHLETE_BASE_URL", "does not know this service (HTTP 404, A001210)"},
		"another server's 404":    {authlete.Response{Status: 404}, nil, admin.Failed, "AUTHLETE_BASE_URL", "no action (HTTP 404)"},
		"not HTTP":                {authlete.Response{}, errors.New(`malformed HTTP status code "SECRET"`), admin.Failed, "events wait", "does not speak HTTP: look at AUTHLETE_BASE_URL"},
		"not TLS":                 {authlete.Response{}, errors.New("http: server gave HTTP response to HTTPS client"), admin.Failed, "events wait", "does not speak TLS: look at AUTHLETE_BASE_URL"},
		"redirected":              {authlete.Response{Status: 302}, nil, admin.Failed, "AUTHLETE_BASE_URL", "no action (HTTP 302)"},
		"server error":            {authlete.Response{Status: 500, Action: authlete.ActionServerError}, nil, admin.Failed, "events wait", "SERVER_ERROR (HTTP 500)"},
		"gateway":                 {authlete.Response{Status: 503}, nil, admin.Failed, "events wait", "no action (HTTP 503)"},
		"nothing":                 {authlete.Response{}, errors.New("no whole answer within 10s"), admin.Failed, "events wait", "no whole answer within 10s"},
	} {
		f := judgeAnswer("https://api.example.com", "4711", worker.PreflightOf(authlete.Probe{Response: c.response, Err: c.err}, "REVOKER_ALLOWED_SERVICE_IDS"))
		if f.State != c.state || !strings.Contains(f.Remedy, c.remedy) || !strings.Contains(f.Detail, c.detail) || strings.Contains(f.Detail, "SECRET") || f.State != admin.OK && f.Remedy == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// The answers from a wrong AUTHLETE_BASE_URL lead to what is wrong with it.
func TestWhatIsWrongWithTheBaseURL(t *testing.T) {
	t.Parallel()
	unknown := authlete.Response{Status: 404, ResultCode: "A001210"}
	for name, c := range map[string]struct {
		base     string
		response authlete.Response
		err      error
		remedy   string
	}{
		"a path":                          {"https://api.example.com/api", unknown, nil, "the path /api, after which revoker puts /api/4711/nativesso/logout"},
		"no path":                         {"https://api.example.com/", unknown, nil, "or AUTHLETE_BASE_URL"},
		"http to a port with TLS":         {"http://127.0.0.1:1", authlete.Response{Status: 400}, nil, "https:// in AUTHLETE_BASE_URL"},
		"http, and the connection is cut": {"http://127.0.0.1:1", authlete.Response{}, errors.New("connection reset"), "https:// in AUTHLETE_BASE_URL"},
	} {
		f := judgeAnswer(c.base, "4711", worker.PreflightOf(authlete.Probe{Response: c.response, Err: c.err}, "AUTHLETE_SERVICE_ID"))
		if f.State != admin.Failed || !strings.Contains(f.Remedy, c.remedy) || name == "no path" && strings.Contains(f.Remedy, "path") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestACertificateThatEndsSoonIsWarnedOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for days, want := range map[int]admin.State{100: admin.OK, 10: admin.Warning} {
		var list admin.Findings
		probe := authlete.Probe{Addresses: []string{"192.0.2.1"}, TLS: tls.VersionTLS13, Expires: now.AddDate(0, 0, days)}
		cfg := config.Config{API: config.API{BaseURL: "https://api.example.com"}}
		if !checkWay(cfg, probe, now, &list) || list[1].State != want || !strings.Contains(list[1].Detail, "TLS 1.3") {
			t.Errorf("%d days: %+v", days, list)
		}
	}
}
