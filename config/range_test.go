package config_test

import (
	"maps"
	"testing"

	"revoker/config"
)

// ranges has the documented bounds of each number and duration, and a value just outside of each. The companions keep
// the rules between two variables out of the way.
var ranges = map[string]struct {
	low, high, below, above string
	companions              map[string]string
}{
	"REVOKER_REPLICAS":               {low: "1", high: "5", below: "0", above: "6"},
	"REVOKER_CONCURRENCY":            {low: "1", high: "16384", below: "0", above: "16385"},
	"REVOKER_RATE_LIMIT":             {low: "0", high: "1000000", below: "-0.001", above: "1000000.1"},
	"REVOKER_REQUEST_TIMEOUT":        {low: "10ms", high: "10m", below: "9999us", above: "10m1ns"},
	"REVOKER_ACK_WAIT":               {low: "1s", high: "1h", below: "999ms", above: "1h1ns"},
	"REVOKER_MAX_ACK_PENDING":        {low: "1", high: "1000000", below: "0", above: "1000001", companions: map[string]string{"REVOKER_CONCURRENCY": "1"}},
	"REVOKER_RETRY_INITIAL_INTERVAL": {low: "1ms", high: "1h", below: "999us", above: "1h1ns", companions: map[string]string{"REVOKER_RETRY_MAX_INTERVAL": "2h"}},
	"REVOKER_RETRY_MULTIPLIER":       {low: "1", high: "100", below: "0.999", above: "100.001"},
	"REVOKER_RETRY_MAX_INTERVAL":     {low: "1ms", high: "24h", below: "999us", above: "24h1ns", companions: map[string]string{"REVOKER_RETRY_INITIAL_INTERVAL": "1ms"}},
	"REVOKER_RETRY_JITTER":           {low: "0", high: "1", below: "-0.001", above: "1.001"},
	"REVOKER_RETRY_SHARE":            {low: "0.01", high: "1", below: "0.009", above: "1.001"},
	"REVOKER_RETRY_MAX_ATTEMPTS":     {low: "1", high: "1000000", below: "0", above: "1000001"},
	"REVOKER_RETRY_MAX_AGE":          {low: "0s", high: "8760h", below: "-1ns", above: "8760h1ns"},
	"REVOKER_BREAKER_FAILURES":       {low: "1", high: "100000", below: "0", above: "100001"},
	"REVOKER_CALLER_ERROR_BRAKE":     {low: "0", high: "1000000", below: "-1", above: "1000001"},
	"REVOKER_BREAKER_PROBE_INTERVAL": {low: "10ms", high: "1h", below: "9999us", above: "1h1ns", companions: map[string]string{"REVOKER_BREAKER_MAX_PROBE_INTERVAL": "1h"}},
	"REVOKER_BREAKER_MAX_PROBE_INTERVAL": {
		low: "10ms", high: "1h", below: "9999us", above: "1h1ns", companions: map[string]string{"REVOKER_BREAKER_PROBE_INTERVAL": "10ms"},
	},
	"REVOKER_RECEIVE_CONCURRENCY": {low: "1", high: "16384", below: "0", above: "16385"},
	"REVOKER_RECEIPT_MAX_AGE":     {low: "1m", high: "87600h", below: "59s", above: "87600h1ns"},
	"REVOKER_RECEIPT_MAX_COUNT":   {low: "1", high: "1000000000", below: "0", above: "1000000001"},
	"REVOKER_DRAIN_TIMEOUT":       {low: "0s", high: "1h", below: "-1ns", above: "1h1ns"},
}

func TestBoundsAreAccepted(t *testing.T) {
	for name, r := range ranges {
		for _, value := range []string{r.low, r.high} {
			t.Run(name+"="+value, func(t *testing.T) {
				setEnvironment(t, with(r.companions, name, value))
				if _, err := config.Load(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestValuesOutOfRangeAreRefused(t *testing.T) {
	for name, r := range ranges {
		for _, value := range []string{r.below, r.above} {
			t.Run(name+"="+value, func(t *testing.T) {
				setEnvironment(t, with(r.companions, name, value))
				_, err := config.Load()
				refusedFor(t, err, name, "must be from "+r.low+" to "+r.high)
			})
		}
	}
}

func TestNumbersThatAreNoneAreRefused(t *testing.T) {
	for name, r := range ranges {
		for _, value := range []string{"NaN", "Inf", "-Inf", "1x", " "} {
			t.Run(name+"="+value, func(t *testing.T) {
				setEnvironment(t, with(r.companions, name, value))
				_, err := config.Load()
				refusedFor(t, err, name, "")
			})
		}
	}
}

func TestTheRangesAboveLeaveNoVariableOut(t *testing.T) {
	t.Parallel()
	ranged := 0
	for _, l := range leaves(config.Default()) {
		if _, isBool := l.value.(bool); isBool || l.tag.Get("min") == "" {
			continue
		}
		ranged++
		if _, ok := ranges[l.name]; !ok {
			t.Errorf("%s has a range that is not tested", l.name)
		}
	}
	if ranged != len(ranges) {
		t.Errorf("%d variables have a range, %d are tested", ranged, len(ranges))
	}
}

func with(companions map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	maps.Copy(all, companions)
	return all
}
