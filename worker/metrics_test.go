package worker

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/trace"

	"revoker/config"
	"revoker/events"
	"revoker/worker/authlete"
)

// series returns every series that is not 0, by name and labels' values; a histogram counts its observations.
func series(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			if value := valueOf(metric); value != 0 {
				found[name] = value
			}
		}
	}
	return found
}

func valueOf(metric *dto.Metric) float64 {
	if h := metric.GetHistogram(); h != nil {
		return float64(h.GetSampleCount())
	}
	return metric.GetCounter().GetValue()
}

var testObjective = config.Objective{Percent: 99, Within: 5 * time.Second}

func TestSettlementsAreCounted(t *testing.T) {
	t.Parallel()
	const calls, took, age = "revoker_calls_total ", "revoker_call_duration_seconds", "revoker_publish_to_revoked_seconds live"
	const ended, bulkEnded = "revoker_ended_to_revoked_seconds live", "revoker_ended_to_revoked_seconds bulk"
	const met, missed = "revoker_objective_events_total met", "revoker_objective_events_total missed"
	second := time.Second
	for name, c := range map[string]struct {
		settlement Settlement
		want       map[string]float64
	}{
		"revoked": {
			Settlement{Outcome: Revoked, Action: "OK", Status: 200, Deleted: 3, Deliveries: 1, Took: second, Age: second},
			map[string]float64{"revoker_events_total revoked": 1, "revoker_revocations_total none": 1, calls + "OK 2xx": 1, took: 1, age: 1, ended: 1, met: 1, "revoker_tokens_deleted_total": 3},
		},
		"revoked at the last moment": {
			Settlement{Lane: config.Live, Outcome: Revoked, Deleted: 3, Deliveries: 1, Age: second, ToRevoked: 5 * second},
			map[string]float64{"revoker_events_total revoked": 1, "revoker_revocations_total none": 1, age: 1, ended: 1, met: 1, "revoker_tokens_deleted_total": 3},
		},
		"revoked late": {
			Settlement{Lane: config.Live, Outcome: Revoked, Deleted: 3, Deliveries: 1, Age: second, ToRevoked: 5*second + 1},
			map[string]float64{"revoker_events_total revoked": 1, "revoker_revocations_total none": 1, age: 1, ended: 1, missed: 1, "revoker_tokens_deleted_total": 3},
		},
		"nothing to delete, second delivery": {
			Settlement{Outcome: Revoked, Action: "OK", Status: 200, Deliveries: 2, Took: second, Age: -second},
			map[string]float64{"revoker_events_total revoked": 1, "revoker_revocations_total none": 1, calls + "OK 2xx": 1, took: 1, age: 1, ended: 1, met: 1, "revoker_empty_revocations_total none": 1, "revoker_retries_total": 1},
		},
		"a bulk event": {
			Settlement{Lane: config.Bulk, Outcome: Revoked, Action: "OK", Status: 200, Deliveries: 1, Took: second, Deleted: 1, ToRevoked: time.Hour},
			map[string]float64{"revoker_events_total revoked": 1, "revoker_revocations_total none": 1, calls + "OK 2xx": 1, took: 1, bulkEnded: 1, "revoker_publish_to_revoked_seconds bulk": 1, "revoker_tokens_deleted_total": 1},
		},
		"no answer": {
			Settlement{Outcome: Retry, Deliveries: 1, Took: second},
			map[string]float64{"revoker_events_total retry": 1, calls + "none none": 1, took: 1},
		},
		"an action nobody knows, and a status": {
			Settlement{Outcome: Retry, Action: "SECRET", Status: 799, Deliveries: 1, Took: second},
			map[string]float64{"revoker_events_total retry": 1, calls + "other other": 1, took: 1},
		},
		"no action": {
			Settlement{Outcome: Misconfigured, Status: 401, Deliveries: 1, Took: second},
			map[string]float64{"revoker_events_total misconfigured": 1, calls + "none 4xx": 1, took: 1},
		},
		"not called": {Settlement{Outcome: Deferred, Deliveries: 3}, map[string]float64{"revoker_events_total deferred": 1}},
		"dead letter": {
			Settlement{Outcome: Invalid, Deliveries: 1},
			map[string]float64{"revoker_events_total invalid": 1, missed: 1, "revoker_dead_letters_total " + events.ReasonInvalidEvent: 1},
		},
		"dead letter of the bulk lane": {
			Settlement{Lane: config.Bulk, Outcome: Invalid, Deliveries: 1},
			map[string]float64{"revoker_events_total invalid": 1, "revoker_dead_letters_total " + events.ReasonInvalidEvent: 1},
		},
		"dead letter refused": {
			Settlement{Outcome: Retry, Action: "CALLER_ERROR", Status: 400, Deliveries: 1, Took: second, LetterFailed: true},
			map[string]float64{"revoker_events_total retry": 1, calls + "CALLER_ERROR 4xx": 1, took: 1, "revoker_dead_letter_failures_total": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			NewMetrics(registry, testObjective).Observe(c.settlement)
			if got := series(t, registry); !maps.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// Only a trace that is kept is worth a link to it, and only from the time to revoked.
func TestARevocationLeadsToItsTrace(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, testObjective)
	id := trace.TraceID{0xab, 15: 1}
	m.Observe(Settlement{Outcome: Revoked, Took: time.Second, Age: 2 * time.Second, ToRevoked: 3 * time.Second, Trace: id})
	m.Observe(Settlement{Outcome: Revoked, Took: time.Second, Age: 20 * time.Second})
	m.Observe(Settlement{Outcome: Retry, Took: time.Second, Age: time.Hour, Trace: id})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, bucket := range metric.GetHistogram().GetBucket() {
				if e := bucket.GetExemplar(); e != nil {
					found = append(found, fmt.Sprintf("%s %v %s=%s", family.GetName(), e.GetValue(), e.GetLabel()[0].GetName(), e.GetLabel()[0].GetValue()))
				}
			}
		}
	}
	if want := []string{"revoker_ended_to_revoked_seconds 3 trace_id=" + id.String(), "revoker_publish_to_revoked_seconds 2 trace_id=" + id.String()}; !slices.Equal(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}

// Whatever comes, no series is added: those that can be are there from the start.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, testObjective)
	before, err := testutil.GatherAndCount(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range Outcomes {
		for _, action := range []authlete.Action{"", "OK", "SERVER_ERROR", "CALLER_ERROR", "ok", "SECRET"} {
			for status := range 1100 {
				m.Observe(Settlement{Outcome: outcome, Action: action, Status: status, Took: 1, Deleted: -1})
			}
		}
	}
	after, err := testutil.GatherAndCount(registry)
	if err != nil || after != before {
		t.Errorf("%d series, %d before (%v)", after, before, err)
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	NewMetrics(registry, testObjective)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry(), testObjective)
	s := Settlement{Outcome: Revoked, Action: "OK", Status: 200, Deleted: 2, Deliveries: 2, Took: 20 * time.Millisecond, Age: time.Second}
	m.Observe(s) // the first one makes the histograms' native buckets
	if n := testing.AllocsPerRun(1000, func() { m.Observe(s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := NewMetrics(prometheus.NewRegistry(), testObjective)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := Settlement{Outcome: Revoked, Action: "OK", Status: 200, Deleted: 2, Deliveries: 1}
		for i := 0; pb.Next(); i++ {
			s.Took, s.Age = time.Duration(10+i%20)*time.Millisecond, time.Duration(20+i%100)*time.Millisecond
			m.Observe(s)
		}
	})
}
