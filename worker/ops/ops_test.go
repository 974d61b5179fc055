package ops

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"revoker/config"
	"revoker/events/admin"
	"revoker/events/peer"
	"revoker/internal/testleak"
	"revoker/internal/testport"
	"revoker/worker"
)

func TestMain(m *testing.M) { testleak.Main(m) }

const testTimeout = 20 * time.Second

func listen(t *testing.T, change func(*config.Config)) (base string) {
	t.Helper()
	cfg := config.Default()
	cfg.OpsAddr = testport.Address(t)
	change(&cfg)
	s, err := Listen(cfg, peer.NewIdentity("v1"), NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return "http://" + cfg.OpsAddr
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testTimeout}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestBeforeTheWorkerIsThere(t *testing.T) {
	t.Parallel()
	base := listen(t, func(*config.Config) {})
	if status, body := get(t, base+"/livez"); status != 200 || body != "ok\n" {
		t.Errorf("livez: %d %q", status, body)
	}
	if status, body := get(t, base+"/readyz"); status != 503 || !strings.Contains(body, `"warnings":[]`) {
		t.Errorf("readyz: %d %s", status, body)
	}
	status, body := get(t, base+"/metrics")
	for _, want := range []string{"revoker_nats_connected 0", `revoker_build_info{goversion="go`, "go_goroutines", "process_cpu_seconds_total"} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("metrics: %d, no %s", status, want)
		}
	}
	if strings.Contains(body, "revoker_backlog_events{") {
		t.Error("a backlog that nobody has read is shown")
	}
	if status, _ := get(t, base+"/debug/pprof/"); status != 404 {
		t.Errorf("profiles: %d, want 404", status)
	}
}

func TestProfilesOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	base := listen(t, func(cfg *config.Config) { cfg.OpsPprof = true })
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1"} {
		if status, _ := get(t, base+path); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

func TestNoAddressNoServer(t *testing.T) {
	t.Parallel()
	s, err := Listen(config.Config{}, peer.NewIdentity("v1"), NewRegistry(), slog.New(slog.DiscardHandler))
	if s != nil || err != nil {
		t.Errorf("%v, %v", s, err)
	}
	s.Watch(nil) // a nil Server does nothing
	s.Serve(nil)
	s.Close()
}

func TestATakenPortIsAnErrorAtStart(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cfg := config.Config{OpsAddr: listener.Addr().String()}
	if _, err := Listen(cfg, peer.NewIdentity("v1"), NewRegistry(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "REVOKER_OPS_ADDR") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsThereNow(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := sound(now)
	buried := now.Add(-40 * 24 * time.Hour)
	f.queue.status.DeadLetters = &admin.DeadLetterCount{Total: 7, Oldest: &buried}
	f.state = peer.State{Limit: 20, LimitedBy: "latency", Rate: 985, InFlight: 3, InHand: 4, Breaker: "half-open", Reason: "SECRET", Held: []peer.HeldService{{Service: "77"}}}
	f.objective = config.Objective{Percent: 99.5, Within: time.Minute}
	f.services, f.counts = []string{"77", "78"}, worker.Counts{OpinionsWorking: 5, OpinionsFailing: 6, OpinionsNone: 7, Bypassed: 8}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector("v1", func() facts { return f }))
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				if label.GetName() == "state" || label.GetName() == "service" || label.GetName() == "verdict" || label.GetName() == "lane" || label.GetName() == "cause" {
					name += " " + label.GetValue()
				}
			}
			got[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"revoker_objective_ratio": 0.995, "revoker_objective_seconds": 60,
		"revoker_build_info": 1, "revoker_nats_connected": 1, "revoker_concurrency_limit": 64, "revoker_calls_in_flight": 3,
		"revoker_events_in_hand": 4, "revoker_misconfigured": 0, "revoker_breaker_state closed": 0, "revoker_breaker_state open": 0,
		"revoker_breaker_state half-open": 1, "revoker_backlog_events live": 0, "revoker_backlog_events bulk": 0,
		"revoker_ack_pending_events live": 799, "revoker_ack_pending_events bulk": 700,
		"revoker_ack_pending_limit live": 1000, "revoker_ack_pending_limit bulk": 1000,
		"revoker_oldest_event_age_seconds live": 500, "revoker_oldest_event_age_seconds bulk": 400, "revoker_stream_max_age_seconds": 1000,
		"revoker_consumer_paused live": 0, "revoker_consumer_paused bulk": 0, "revoker_dead_letter_stream_events": 7,
		"revoker_oldest_dead_letter_age_seconds": 40 * 24 * 3600, "revoker_call_limit": 20, "revoker_learned_rate": 985, "revoker_call_limit_cause latency": 1, "revoker_call_limit_cause concurrency": 0,
		"revoker_call_limit_cause start": 0, "revoker_call_limit_cause failures": 0, "revoker_call_limit_cause breaker": 0, "revoker_call_limit_cause rate": 0,
		"revoker_service_held 77": 1, "revoker_service_held 78": 0, "revoker_bypassed_revocations_total": 8,
		"revoker_opinions_total working": 5, "revoker_opinions_total failing": 6, "revoker_opinions_total none": 7,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s is %v (%v), want %v", name, value, there, want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("not expected: %v", got)
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", ":8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080",
		"10.1.2.3:80": "10.1.2.3:80", "[fd00::1]:80": "[fd00::1]:80", "localhost:8080": "localhost:8080",
		"": "", "8080": "", "127.0.0.1:0": "", "127.0.0.1:": "",
	} {
		if got, err := reachable(addr); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", addr, got, err, want)
		}
	}
}

func TestAskingWhatIsNoRevoker(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ready":true}`) })}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	if _, err := AskReady(context.Background(), listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "is not a revoker worker") {
		t.Errorf("got %v", err)
	}
}
