package systemtest

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// revokeTraced has a session revoked whose event belongs to a trace; its flags are 01 if the trace is sampled, or 00.
func revokeTraced(s *testsite.Site, t *testing.T, base, trace, flags string) {
	t.Helper()
	before, _ := sample(scrape(t, base), `revoker_publish_to_revoked_seconds_count{lane="live"}`)
	msg := &nats.Msg{Subject: "session.ended", Data: []byte(`{"sessionId":"SECRET-` + flags + `"}`), Header: nats.Header{
		"traceparent": {"00-" + trace + "-" + publisher + "-" + flags},
	}}
	if _, err := s.JS.PublishMsg(s.Deadline(), msg); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "a revocation", func() bool {
		now, there := sample(scrape(t, base), `revoker_publish_to_revoked_seconds_count{lane="live"}`)
		return there && now == before+1
	})
}

// scrapeOpenMetrics scrapes as Prometheus does, which prefers OpenMetrics. The other text format has no exemplars.
func scrapeOpenMetrics(t *testing.T, base string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/openmetrics-text") {
		t.Fatalf("%s: %v", response.Header.Get("Content-Type"), err)
	}
	return string(body)
}

// A slow revocation on the dashboard leads to its trace, where that was kept.
func TestARevocationLeadsToItsTrace(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	w := s.StartWorker("AUTHLETE_BASE_URL="+c.api, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.otlp)
	base := opsURL(t, w)
	revokeTraced(s, t, base, traceOfGood, "01")
	revokeTraced(s, t, base, traceOfBad, "00") // the later one: in the same bucket it would replace the first
	text := scrapeOpenMetrics(t, base)
	if n := strings.Count(text, `# {trace_id="`+traceOfGood+`"}`); n != 2 {
		t.Errorf("%d exemplars of the sampled trace, want one of each time to revoked", n)
	}
	if strings.Contains(text, traceOfBad) || strings.Contains(text, "SECRET") {
		t.Error("a trace that is not kept, or a secret, is in the metrics")
	}
}

// With tracing off there is nothing to lead to.
func TestWithoutTracesThereAreNoExemplars(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	w := s.StartWorker("AUTHLETE_BASE_URL=" + c.api)
	base := opsURL(t, w)
	revokeTraced(s, t, base, traceOfGood, "01")
	text := scrapeOpenMetrics(t, base)
	if strings.Contains(text, "# {") {
		t.Error("there are exemplars")
	}
}
