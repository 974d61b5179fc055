package worker_test

import (
	"strings"
	"testing"

	"revoker/worker/authlete/sim"
)

// Whatever of the configuration is wrong: hardly any call is made, no event is condemned, the log names the variable, and
// with the right value the backlog drains.
func TestAWrongConfigurationCondemnsNoEvent(t *testing.T) {
	t.Parallel()
	page := func(status int, body string) sim.Answer {
		return sim.Answer{Kind: sim.Raw, Status: status, ContentType: "text/html", Body: "<html>" + body}
	}
	other := sim.Answer{Kind: sim.Raw, ContentType: "application/json", Body: `{"status":"ok"}`}
	for name, c := range map[string]struct {
		service string      // configured; the right one if empty
		answer  *sim.Answer // to every call
		want    string
	}{
		"a service that is not there":     {"999", nil, "look at AUTHLETE_SERVICE_ID, or AUTHLETE_BASE_URL"},
		"a service of somebody else":      {"", &sim.Answer{Kind: sim.Forbidden}, "look at AUTHLETE_BEARER or AUTHLETE_BEARER_FILE, or AUTHLETE_SERVICE_ID"},
		"a site without such a page":      {"", new(page(404, "Not Found")), "look at AUTHLETE_SERVICE_ID, or AUTHLETE_BASE_URL"},
		"a site that knows no POST":       {"", new(page(405, "Method Not Allowed")), "look at AUTHLETE_BASE_URL"},
		"a site that redirects":           {"", &sim.Answer{Kind: sim.Raw, Status: 301, Location: "https://www.example.com/"}, "look at AUTHLETE_BASE_URL"},
		"a site that welcomes everything": {"", &sim.Answer{Kind: sim.HTML}, "look at AUTHLETE_BASE_URL"},
		"a site that answers nothing":     {"", &sim.Answer{Kind: sim.Empty}, "look at AUTHLETE_BASE_URL"},
		"plain HTTP to a port for HTTPS":  {"", new(page(400, "The plain HTTP request was sent to HTTPS port")), "look at AUTHLETE_BASE_URL"},
		"another API's 200":               {"", &other, "look at AUTHLETE_BASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, sim.Options{})
			b.setup()
			ids := sessions("s", 300)
			b.publishSession(ids...)
			if c.service != "" {
				b.cfg.API.ServiceID = c.service
			}
			if c.answer != nil {
				b.api.Outage(*c.answer, 0)
			}
			stop := b.start()
			b.waitFor("the breaker to open", func() bool { return b.log.count("circuit breaker opened") == 1 })
			before := b.api.Calls()
			b.waitFor("several probes", func() bool { return b.api.Calls() >= before+4 })
			if n := b.info().NumPending; int(n) < len(ids)-3*b.cfg.Concurrency {
				t.Errorf("only %d events were left in the stream", n)
			}
			stop()
			if n := len(b.letters()); n != 0 || !strings.Contains(b.log.String(), c.want) || b.log.count("circuit breaker opened") != 1 {
				t.Errorf("%d dead letters; want %q in the log:\n%s", n, c.want, b.log)
			}
			b.cfg.API.ServiceID = testService
			b.api.Recover()
			b.start()
			b.waitDone()
			for _, id := range ids {
				if !b.revoked(id) {
					t.Errorf("%s is not revoked", id)
				}
			}
			if n := len(b.letters()); n != 0 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}
