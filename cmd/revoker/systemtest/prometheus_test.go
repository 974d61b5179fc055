//go:build tools

package systemtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"revoker/internal/testissuer"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// promtool runs Prometheus's checker; input is its standard input.
func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = "../../../deploy/prometheus", strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", "revoker.rules.yml")
	promtool(t, "", "test", "rules", "revoker.rules.test.yml")
}

// An alert that no test makes fire may never do so.
func TestEveryAlertIsTested(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("../../../deploy/prometheus/revoker.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../../../deploy/prometheus/revoker.rules.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		if alert, found := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); found &&
			!strings.Contains(string(tests), "alertname: "+alert+"\n        exp_alerts:\n          - exp_labels:") {
			t.Errorf("no test makes %s fire", alert)
		}
	}
}

// A real Prometheus scrapes a real run, with native histograms, and knows the alerts; the dashboard's queries have answers.
func TestPrometheusScrapesARun(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Failing: 10, Bad: 1})
	s.StartNATS()
	w := s.StartWorker("REVOKER_BREAKER_FAILURES=10000") // no second opinions, which are calls too
	base := opsURL(t, w)
	promtool(t, scrape(t, base), "check", "metrics")
	target := strings.TrimPrefix(base, "http://")
	p, classic := startPrometheus(t, target, "--enable-feature=native-histograms"), startPrometheus(t, target)
	for _, server := range []*prometheus{p, classic} {
		testproc.WaitFor(t, "first scrape", func() bool { return server.value(`revoker_events_total{outcome="revoked"}`) == 0 })
	}
	s.Publish(0, 1000)
	s.WaitDone()
	for query, want := range map[string]float64{
		`sum(revoker_events_total{outcome="revoked"})`:                     990,
		`sum(revoker_dead_letters_total)`:                                  10,
		`revoker_dead_letter_stream_events`:                                10,
		`histogram_count(revoker_publish_to_revoked_seconds{lane="live"})`: 990, // native: the classic one has no such series
		`histogram_count(revoker_call_duration_seconds)`:                   1300,
		`histogram_count(revoker_ended_to_revoked_seconds{lane="live"})`:   990,
		`max(revoker_objective_events_total{result="missed"}) >= bool 10`:  1,
		`sum(revoker_objective_events_total)`:                              1000,
		`count({__name__=~"job:revoker:missed_ratio_rate.+"})`:             7,
		`count(count by (__name__) ({__name__=~"revoker_.*"})) > bool 20`:  1,
		`count(revoker_build_info)`:                                        1,
	} {
		testproc.WaitFor(t, fmt.Sprintf("%s of %v", query, want), func() bool { return p.value(query) == want })
	}
	testproc.WaitFor(t, "an alert on dead letters", func() bool {
		return p.value(`count(ALERTS{alertname="RevokerDeadLettersGrowing", reason="CALLER_ERROR", alertstate="firing"})`) == 1
	})
	testproc.WaitFor(t, "the classic buckets", func() bool { return classic.value(`revoker_call_duration_seconds_bucket{le="+Inf"}`) == 1300 })
	for _, server := range []*prometheus{p, classic} {
		server.checkDashboard()
	}
}

// The dashboard's queries about receivers have answers too, with classic and with native histograms.
func TestPrometheusScrapesAReceiver(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	s.Says(0, nil, []string{"setup", "--yes"})
	issuer := testissuer.New(t)
	address, ops := testport.Address(t), testport.Address(t)
	startReceiver(s, address, fmt.Sprintf(`[{"name":"login","issuer":%q,"clientIds":[%q]}]`, issuer.URL, testissuer.ClientID), "REVOKER_RECEIVE_OPS_ADDR="+ops)
	servers := []*prometheus{startPrometheus(t, ops, "--enable-feature=native-histograms"), startPrometheus(t, ops)}
	for _, server := range servers {
		testproc.WaitFor(t, "first scrape", func() bool { return server.value(`revoker_receive_nats_connected`) == 1 })
	}
	sending := startSenders(t, address, issuer, 0)
	sending.send("SECRET-a", true)
	sending.send("SECRET-b", false)
	refused, err := http.Post("http://"+address+"/events", "application/json", strings.NewReader("{}")) // without a token
	if err != nil {
		t.Fatal(err)
	}
	refused.Body.Close()
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			if !strings.Contains(target.Expr, "revoker_receive_") {
				continue
			}
			for i, server := range servers {
				testproc.WaitFor(t, fmt.Sprintf("%s, server %d: an answer to %s", panel.Title, i, target.Expr), func() bool {
					n, _ := server.query(dashboardVariables.Replace(target.Expr))
					return n > 0
				})
			}
		}
	}
}

// The dashboard marks the time for which a breaker is open.
func TestTheDashboardMarksAnOpenBreaker(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	refuses := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	p := startPrometheus(t, strings.TrimPrefix(opsURL(t, s.StartWorker("AUTHLETE_BASE_URL="+refuses)), "http://"))
	expr := dashboardVariables.Replace(readDashboard(t).annotation(t, breakerAnnotation).Expr)
	testproc.WaitFor(t, "a scrape", func() bool { return p.value("revoker_build_info") == 1 })
	if n, _ := p.query(expr); n != 0 {
		t.Errorf("%d breakers are marked before a call", n)
	}
	s.Publish(0, 1)
	testproc.WaitFor(t, "the mark", func() bool { return p.value(expr) == 1 })
}

// dashboardVariables are what Grafana puts in for the variables of queries.
var dashboardVariables = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$namespace", ".*", "$job", ".+")

// prometheus is a server that scrapes one target every second.
type prometheus struct {
	t    *testing.T
	base string
}

func startPrometheus(t *testing.T, target string, more ...string) *prometheus {
	t.Helper()
	rules, err := filepath.Abs("../../../deploy/prometheus/revoker.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "prometheus.yml")
	content := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: revoker, static_configs: [{targets: [%q]}]}]
`, rules, target)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	address := testport.Address(t)
	testproc.Start(t, nil, "prometheus", append(more, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)...)
	p := &prometheus{t, "http://" + address}
	testproc.WaitFor(t, "Prometheus", func() bool {
		response, err := http.Get(p.base + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return p
}

// query returns how many series answer, and the value of the first.
func (p *prometheus) query(query string) (series int, value float64) {
	p.t.Helper()
	response, err := http.Get(p.base + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != "" {
		p.t.Fatalf("%s: %v %s", query, err, answer.Error)
	}
	value = -1
	if len(answer.Data.Result) > 0 {
		if value, err = strconv.ParseFloat(answer.Data.Result[0].Value[1].(string), 64); err != nil {
			p.t.Fatal(err)
		}
	}
	return len(answer.Data.Result), value
}

// value returns the query's first value, -1 for none.
func (p *prometheus) value(query string) float64 {
	p.t.Helper()
	_, value := p.query(query)
	return value
}

// checkDashboard asks every query of the dashboard that is about workers. TestPrometheusScrapesAReceiver asks the others.
func (p *prometheus) checkDashboard() {
	p.t.Helper()
	dashboard := readDashboard(p.t)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			if strings.Contains(target.Expr, "revoker_receive_") {
				continue
			}
			// A rate needs two scrapes of a series.
			testproc.WaitFor(p.t, fmt.Sprintf("%s: an answer to %s", panel.Title, target.Expr), func() bool {
				n, _ := p.query(dashboardVariables.Replace(target.Expr))
				return n > 0
			})
		}
	}
	// Each start of a worker is one mark, at its time in milliseconds.
	deploys, started := p.query(dashboardVariables.Replace(dashboard.annotation(p.t, deployAnnotation).Expr))
	if ago := time.Since(time.UnixMilli(int64(started))); deploys != 1 || ago < 0 || ago > time.Hour {
		p.t.Errorf("%d deploys, %s ago", deploys, ago)
	}
	if breakers, _ := p.query(dashboardVariables.Replace(dashboard.annotation(p.t, breakerAnnotation).Expr)); breakers != 0 {
		p.t.Errorf("%d breakers are marked, none is open", breakers)
	}
}
