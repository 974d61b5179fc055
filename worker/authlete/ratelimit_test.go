package authlete

import (
	"net/http"
	"testing"
	"time"
)

func TestParseRateLimit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy, state string
		want          RateLimit
	}{
		"none":                         {},
		"a policy":                     {`"default";q=100;w=10`, "", RateLimit{PerSecond: 10}},
		"the strictest one":            {`"burst";q=100;w=1,"minute";q=600;w=60`, "", RateLimit{PerSecond: 10}},
		"not that of a day":            {`"daily";q=1000;w=86400`, "", RateLimit{}},
		"nor that of 585 years":        {`"far";q=1;w=18446744074`, "", RateLimit{}},
		"not that of bytes":            {`"bytes";q=1000;qu="content-bytes";w=1`, "", RateLimit{}},
		"that of requests":             {`"a";q=1000;qu="requests";w=1`, "", RateLimit{PerSecond: 1000}},
		"no window":                    {`"a";q=1000`, "", RateLimit{}},
		"calls are left":               {"", `"default";r=50;t=30`, RateLimit{}},
		"none are left":                {"", `"default";r=0;t=30`, RateLimit{Pause: 30 * time.Second}},
		"none are left, the longest":   {"", `"a";r=0;t=3, "b";r=0;t=7, "c";r=1;t=99`, RateLimit{Pause: 7 * time.Second}},
		"none are left, for very long": {"", `"a";r=0;t=999999999999`, RateLimit{Pause: MaxRetryAfter}},
		"malformed":                    {`q=`, `"a";r=;t`, RateLimit{}},
		"negative":                     {`"a";q=-5;w=1`, `"a";r=0;t=-5`, RateLimit{}},
		"fractions":                    {`"a";q=5.5;w=1`, `"a";r=0.0;t=5`, RateLimit{}},
		"an inner list":                {`("a" "b");q=5;w=1`, "", RateLimit{}},
	} {
		header := http.Header{}
		if test.policy != "" {
			header.Set("RateLimit-Policy", test.policy)
		}
		if test.state != "" {
			header.Set("RateLimit", test.state)
		}
		if got := parseRateLimit(header); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// Whatever an answer states, a rate is one of a window of a minute at most, and a pause has an end.
func FuzzRateLimit(f *testing.F) {
	f.Add(`"default";q=100;w=10`, `"default";r=0;t=30`)
	f.Add(`"burst";q=100;w=1,"daily";q=1000;w=86400`, `"a";r=0;t=999999999999, ("b" "c");r=0;t=7`)
	f.Add(`"bytes";q=1000;qu="content-bytes";w=1`, `"a";r=0;t=-5`)
	f.Add(`a;q=1;w=18446744074`, `a;r=0.0;t=5`)
	f.Fuzz(func(t *testing.T, policy, state string) {
		limit := parseRateLimit(http.Header{"Ratelimit-Policy": {policy}, "Ratelimit": {state}})
		if limit.PerSecond != 0 && !(limit.PerSecond >= 1/longestPolicyWindow.Seconds()) || limit.Pause < 0 || limit.Pause > MaxRetryAfter {
			t.Errorf("%+v", limit)
		}
	})
}
