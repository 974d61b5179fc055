package ops

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"revoker/config"
	"revoker/events/peer"
	"revoker/internal/testproc"
	"revoker/worker"
	"revoker/worker/authlete"
	"revoker/worker/authlete/sim"
)

// tokenCondition is the condition of /readyz that the token decides.
func tokenCondition(r Readiness) Condition {
	return r.Conditions[slices.IndexFunc(r.Conditions, func(c Condition) bool { return c.Name == "configuration" })]
}

// A server whose API takes another token is not ready, although no event came. It is, once the token is right.
func TestAWrongTokenFailsReadinessBeforeAnyEvent(t *testing.T) {
	t.Parallel()
	api, err := sim.Start(sim.Options{Token: "another-token", Services: []string{"4711"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	server := withAPI(t, api.URL())
	testproc.WaitFor(t, "a refusal", func() bool {
		return strings.Contains(tokenCondition(judge(server.facts())).Reason, "look at AUTHLETE_BEARER")
	})
	if _, metrics := get(t, "http://"+server.Address()+"/metrics"); !strings.Contains(metrics, "\nrevoker_misconfigured 1\n") {
		t.Error("the metric does not say so")
	}
	api.SetToken("the-token")
	testproc.WaitFor(t, "readiness", func() bool { return tokenCondition(judge(server.facts())).OK })
	if n := len(api.Sessions()); n > 0 {
		t.Errorf("%d sessions were touched", n)
	}
}

func TestAnAPIThatIsAwayDoesNotFailReadiness(t *testing.T) {
	t.Parallel()
	server := withAPI(t, "http://127.0.0.1:1")
	testproc.WaitFor(t, "a warning", func() bool {
		r := judge(server.facts())
		return tokenCondition(r).OK && slices.ContainsFunc(r.Warnings, func(w Warning) bool { return w.Name == "token" })
	})
}

func withAPI(t *testing.T, url string) *Server {
	t.Helper()
	cfg := config.Default()
	cfg.OpsAddr, cfg.API = "127.0.0.1:0", config.API{BaseURL: url, ServiceID: "4711", Bearer: config.NewSecret("the-token")}
	api, err := authlete.New(cfg, "v1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	server, err := Listen(cfg, peer.NewIdentity("v1"), NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	server.Preflight(api)
	return server
}

var (
	accepted = worker.PreflightOf(authlete.Probe{Response: authlete.Response{Status: 400, Action: authlete.ActionCallerError}}, "AUTHLETE_SERVICE_ID")
	refused  = worker.PreflightOf(authlete.Probe{Response: authlete.Response{Status: http.StatusUnauthorized}}, "AUTHLETE_SERVICE_ID")
	away     = worker.PreflightOf(authlete.Probe{Err: errors.New("connection refused")}, "AUTHLETE_SERVICE_ID")
)

// What each answer does to readiness. It holds until the next one.
func TestReadinessByTheAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []worker.Preflight
		fails   string
		over    bool
	}{
		"none yet":             {nil, "has not said yet", false},
		"accepted":             {[]worker.Preflight{accepted}, "", true},
		"refused":              {[]worker.Preflight{refused}, "AUTHLETE_BEARER", false},
		"away":                 {[]worker.Preflight{away}, "", false},
		"refused, then right":  {[]worker.Preflight{refused, accepted}, "", true},
		"away, then refused":   {[]worker.Preflight{away, refused}, "AUTHLETE_BEARER", false},
		"a gateway's 400":      {[]worker.Preflight{worker.PreflightOf(authlete.Probe{Response: authlete.Response{Status: 400}}, "")}, "", false},
		"a gateway's 502":      {[]worker.Preflight{worker.PreflightOf(authlete.Probe{Response: authlete.Response{Status: 502}}, "")}, "", false},
		"a service of another": {[]worker.Preflight{worker.PreflightOf(authlete.Probe{Response: authlete.Response{Status: 403}}, "AUTHLETE_SERVICE_ID")}, "AUTHLETE_SERVICE_ID", false},
		"a failure of the API": {[]worker.Preflight{worker.PreflightOf(authlete.Probe{Response: authlete.Response{Status: 500, Action: authlete.ActionServerError}}, "")}, "", true},
	} {
		p := preflight{log: slog.New(slog.DiscardHandler)}
		p.begin(true)
		for _, answer := range c.answers {
			p.take(answer)
		}
		f := sound(time.Now())
		f.token = p.acceptance()
		if condition := tokenCondition(judge(f)); condition.OK != (c.fails == "") || !strings.Contains(condition.Reason, c.fails) {
			t.Errorf("%s: %+v", name, condition)
		}
		if p.over.Load() != c.over {
			t.Errorf("%s: it is over: %v", name, p.over.Load())
		}
	}
}

// The call of an event ends it, if it says more than the answer without a session did.
func TestTheCallOfAnEventEndsThePreflight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settlement worker.Settlement
		heed, over bool
	}{
		"revoked":              {worker.Settlement{Outcome: worker.Revoked, Action: authlete.ActionOK, Status: 200}, true, true},
		"a dead letter":        {worker.Settlement{Outcome: worker.CallerError, Action: authlete.ActionCallerError, Status: 400}, true, true},
		"the API failed":       {worker.Settlement{Outcome: worker.Retry, Action: authlete.ActionServerError, Status: 500}, true, true},
		"refused":              {worker.Settlement{Outcome: worker.Misconfigured, Status: 401}, true, true},
		"a gateway":            {worker.Settlement{Outcome: worker.Retry, Status: 502}, true, false},
		"no answer":            {worker.Settlement{Outcome: worker.Retry}, true, false},
		"handed back":          {worker.Settlement{Outcome: worker.Deferred}, true, false},
		"of some service":      {worker.Settlement{Outcome: worker.Revoked, Action: authlete.ActionOK, Status: 200}, false, false},
		"of a refused one":     {worker.Settlement{Outcome: worker.Misconfigured, Status: 403}, false, false},
		"an undecodable thing": {worker.Settlement{Outcome: worker.Invalid}, true, false},
	} {
		p := preflight{log: slog.New(slog.DiscardHandler)}
		p.begin(c.heed)
		p.take(refused)
		p.observe(c.settlement)
		p.observe(c.settlement) // a second one is nothing new
		if p.over.Load() != c.over || c.over != (p.acceptance() == acceptance{}) {
			t.Errorf("%s: over %v, %+v", name, p.over.Load(), p.acceptance())
		}
		if p.take(refused); c.over && (p.acceptance() != acceptance{}) {
			t.Errorf("%s: a late answer counts", name)
		}
	}
}

// While the answer is bad the API is asked again, less and less often.
func TestThePreflightGrowsRarer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []int
		p := preflight{log: slog.New(slog.DiscardHandler)}
		p.begin(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.run(ctx, func(context.Context) worker.Preflight {
				at = append(at, int(time.Since(began).Seconds()))
				return refused
			})
		}()
		time.Sleep(100 * time.Second)
		cancel()
		<-done
		if want := []int{0, 1, 3, 7, 15, 31, 61, 91}; !slices.Equal(at, want) {
			t.Errorf("it asked after %v s, want %v", at, want)
		}
	})
}

func TestTheCallOfAnEventEndsTheAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		p := preflight{log: slog.New(slog.DiscardHandler)}
		p.begin(true)
		go func() {
			time.Sleep(10 * time.Second)
			p.observe(worker.Settlement{Outcome: worker.Revoked, Action: authlete.ActionOK})
		}()
		p.run(t.Context(), func(context.Context) worker.Preflight { asked++; return away })
		if asked != 4 {
			t.Errorf("it asked %d times, want 4", asked)
		}
	})
}
