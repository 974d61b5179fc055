package systemtest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// opsURL is where a worker serves its HTTP side.
func opsURL(t testing.TB, w *testproc.Process) string {
	t.Helper()
	testproc.WaitFor(t, "health endpoints", func() bool { return opsAddress.MatchString(w.Stderr.String()) })
	return "http://" + opsAddress.FindStringSubmatch(w.Stderr.String())[1]
}

func scrape(t testing.TB, base string) string {
	t.Helper()
	response, err := http.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", response.StatusCode, err)
	}
	return string(body)
}

// askReady returns the status of /readyz.
func askReady(t testing.TB, base string) int {
	t.Helper()
	response, err := http.Get(base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// sample returns the value of one series in the text format, and whether it is there.
func sample(exposition, series string) (float64, bool) {
	for line := range strings.Lines(exposition) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), series+" "); found {
			number, err := strconv.ParseFloat(value, 64)
			return number, err == nil
		}
	}
	return 0, false
}

func TestMetricsOfARun(t *testing.T) {
	t.Parallel()
	const events = 1000
	s := testsite.New(t, testsite.Simulator{Failing: 10, Bad: 1})
	s.StartNATS()
	w := s.StartWorker("REVOKER_RECEIPTS=true", "REVOKER_ALLOWED_SERVICE_IDS=77", "REVOKER_BREAKER_FAILURES=10000") // no second opinions, which are calls too
	base := opsURL(t, w)
	s.Publish(0, events)
	s.WaitDone()
	var text string
	for series, want := range map[string]float64{
		`revoker_events_total{outcome="revoked"}`:                            0.99 * events,
		`revoker_events_total{outcome="caller_error"}`:                       0.01 * events,
		`revoker_events_total{outcome="retry"}`:                              0.1 * testsite.Failures * events,
		`revoker_events_total{outcome="invalid"}`:                            0,
		`revoker_calls_total{action="OK",status="2xx"}`:                      0.99 * events,
		`revoker_calls_total{action="SERVER_ERROR",status="5xx"}`:            0.1 * testsite.Failures * events,
		`revoker_calls_total{action="CALLER_ERROR",status="4xx"}`:            0.01 * events,
		`revoker_dead_letters_total{reason="CALLER_ERROR"}`:                  0.01 * events,
		`revoker_tokens_deleted_total`:                                       2 * 0.99 * events,
		`revoker_revocations_total{source="none"}`:                           0.99 * events,
		`revoker_empty_revocations_total{source="none"}`:                     0,
		`revoker_retries_total`:                                              0.1 * testsite.Failures * events,
		`revoker_publish_to_revoked_seconds_count{lane="live"}`:              0.99 * events,
		`revoker_publish_to_revoked_seconds_count{lane="bulk"}`:              0,
		`revoker_publish_to_revoked_seconds_bucket{lane="live",le="604800"}`: 0.99 * events,
		`revoker_ended_to_revoked_seconds_bucket{lane="live",le="604800"}`:   0.99 * events,
		`revoker_objective_ratio`:                                            0.99,
		`revoker_objective_seconds`:                                          5,
		`revoker_call_duration_seconds_count`:                                (1 + 0.1*testsite.Failures) * events,
		`revoker_calls_in_flight`:                                            0,
		`revoker_concurrency_limit`:                                          64,
		`revoker_breaker_state{state="closed"}`:                              1,
		`revoker_nats_connected`:                                             1,
		`revoker_misconfigured`:                                              0,
		`revoker_service_held{service="77"}`:                                 0,
		`revoker_bypassed_revocations_total`:                                 0,
		`revoker_opinions_total{verdict="failing"}`:                          0,
		`revoker_ack_pending_limit{lane="live"}`:                             50000,
		`revoker_ack_pending_limit{lane="bulk"}`:                             50000,
		`revoker_stream_max_age_seconds`:                                     7 * 24 * 3600,
		`revoker_backlog_events{lane="live"}`:                                0,
		`revoker_backlog_events{lane="bulk"}`:                                0,
		`revoker_dead_letter_stream_events`:                                  0.01 * events,
		`revoker_oldest_event_age_seconds{lane="live"}`:                      0,
		`revoker_oldest_event_age_seconds{lane="bulk"}`:                      0,
		`revoker_consumer_paused{lane="live"}`:                               0,
		`revoker_receipts_total{result="stored"}`:                            0.99 * events,
		`revoker_receipts_total{result="kept"}`:                              0,
		`revoker_receipt_failures_total`:                                     0,
	} {
		testproc.WaitFor(t, fmt.Sprintf("%s of %v", series, want), func() bool {
			if text = scrape(t, base); strings.HasPrefix(series, "revoker_d") || strings.HasPrefix(series, "revoker_o") {
				askReady(t, base) // has the queue looked at
			}
			got, there := sample(text, series)
			return there && got == want
		})
	}
	var met, missed float64
	testproc.WaitFor(t, "all events against the objective", func() bool {
		text = scrape(t, base)
		met, _ = sample(text, `revoker_objective_events_total{result="met"}`)
		missed, _ = sample(text, `revoker_objective_events_total{result="missed"}`)
		return met+missed >= events
	})
	if met+missed != events || missed < 0.01*events {
		t.Errorf("%v met the objective and %v missed it, of %d of which 1%% are dead letters", met, missed, events)
	}
	if strings.Contains(text, "SECRET") {
		t.Error("a secret is in the metrics")
	}
	if table := metricsTable(text); !strings.Contains(testproc.ReadFile(t, "deploy/prometheus/README.md"), table) {
		t.Errorf("deploy/prometheus/README.md should have this table:\n%s", table)
	}
	checkReferences(t, text)
}

// metricsTable lists revoker's own metrics as deploy/prometheus/README.md does.
func metricsTable(exposition string) string {
	table := "| metric | | |\n|---|---|---|\n"
	label := regexp.MustCompile(`(\w+)="`)
	for _, match := range regexp.MustCompile(`(?m)^# HELP (revoker_\w+) (.*)\n# TYPE \w+ (\w+)\n(.*)$`).FindAllStringSubmatch(exposition, -1) {
		name, help, kind, first := match[1], match[2], match[3], match[4]
		var labels []string
		for _, found := range label.FindAllStringSubmatch(first, -1) {
			if found[1] != "le" {
				labels = append(labels, "`"+found[1]+"`")
			}
		}
		if len(labels) > 0 {
			kind += " by " + strings.Join(labels, ", ")
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", name, kind, help)
	}
	return table
}

// checkReferences checks that the alert rules and the dashboard name only metrics that are there.
func checkReferences(t *testing.T, exposition string) {
	t.Helper()
	known := map[string]bool{}
	for line := range strings.Lines(exposition) {
		if match := regexp.MustCompile(`^(?:# TYPE )?(\w+)`).FindStringSubmatch(line); match != nil {
			known[match[1]] = true
		}
	}
	for _, file := range []string{"../../../deploy/prometheus/revoker.rules.yml", "../../../deploy/grafana/revoker.json"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(revoker|process|go)_\w+`).FindAllString(string(content), -1)
		for _, name := range names {
			if !known[name] && !strings.HasPrefix(name, "revoker_receive_") { // see TestMetricsOfAReceiver
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
		if len(names) < 10 {
			t.Errorf("%s names %d metrics", file, len(names))
		}
	}
}
