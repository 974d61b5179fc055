//go:build tools

package systemtest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// With exemplars on, Prometheus keeps the traces of the dashboard's panel on the time to revoked.
func TestPrometheusKeepsTheTraceOfARevocation(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	base := opsURL(t, s.StartWorker("AUTHLETE_BASE_URL="+c.api, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.otlp))
	target := strings.TrimPrefix(base, "http://")
	servers := []*prometheus{
		startPrometheus(t, target, "--enable-feature=exemplar-storage"),
		startPrometheus(t, target, "--enable-feature=exemplar-storage,native-histograms"),
	}
	revokeTraced(s, t, base, traceOfGood, "01")
	revokeTraced(s, t, base, traceOfBad, "00")
	asked := 0
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			for _, server := range servers {
				if !target.Exemplar {
					continue
				}
				asked++
				testproc.WaitFor(t, "an exemplar of "+panel.Title, func() bool { return slices.Contains(server.exemplars(target.Expr), traceOfGood) })
				if found := server.exemplars(target.Expr); slices.Contains(found, traceOfBad) {
					t.Errorf("%s: %v", panel.Title, found)
				}
			}
		}
	}
	if asked == 0 {
		t.Error("no panel has exemplars")
	}
}

// exemplars returns the trace IDs that Prometheus has for a query of the dashboard, asked as Grafana does.
func (p *prometheus) exemplars(query string) (traces []string) {
	p.t.Helper()
	now := time.Now()
	parameters := url.Values{"query": {dashboardVariables.Replace(query)}, "start": {timestamp(now.Add(-time.Hour))}, "end": {timestamp(now.Add(time.Minute))}}
	response, err := http.Get(p.base + "/api/v1/query_exemplars?" + parameters.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != "" {
		p.t.Fatalf("%s: %v %s", query, err, answer.Error)
	}
	for _, series := range answer.Data {
		for _, exemplar := range series.Exemplars {
			traces = append(traces, exemplar.Labels["trace_id"])
		}
	}
	return traces
}

func timestamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
