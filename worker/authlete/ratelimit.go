package authlete

import (
	"net/http"
	"time"

	"github.com/dunglas/httpsfv"
)

// longestPolicyWindow bounds the windows of quotas that are read as a rate. The quota of a day says little about the next second.
const longestPolicyWindow = time.Minute

// RateLimit is what an answer's RateLimit-Policy and RateLimit fields state
// (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/, since its version 08).
type RateLimit struct {
	// PerSecond is the lowest rate that the policies allow, in calls per second; 0 if none is stated.
	PerSecond float64
	// Pause is how long until calls are available again; 0 while some are.
	Pause time.Duration
}

// parseRateLimit reads the fields. What is malformed, or counts anything but requests, is left out.
func parseRateLimit(header http.Header) (limit RateLimit) {
	for _, policy := range items(header["Ratelimit-Policy"]) {
		quota, window := number(policy, "q"), number(policy, "w")
		if unit, stated := policy.Params.Get("qu"); stated && unit != "requests" {
			continue
		}
		if quota <= 0 || window <= 0 || window > int64(longestPolicyWindow/time.Second) { // seconds of centuries overflow a Duration
			continue
		}
		if perSecond := float64(quota) / float64(window); limit.PerSecond == 0 || perSecond < limit.PerSecond {
			limit.PerSecond = perSecond
		}
	}
	for _, state := range items(header["Ratelimit"]) {
		if remaining, reset := number(state, "r"), number(state, "t"); remaining == 0 && reset > 0 {
			limit.Pause = max(limit.Pause, time.Duration(min(reset, int64(MaxRetryAfter/time.Second)))*time.Second)
		}
	}
	return limit
}

// items are the members of a list; none if it is malformed.
func items(lines []string) (list []httpsfv.Item) {
	if len(lines) == 0 {
		return nil
	}
	members, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil
	}
	for _, member := range members {
		if item, is := member.(httpsfv.Item); is {
			list = append(list, item)
		}
	}
	return list
}

// number is a parameter that is a whole number, or -1.
func number(item httpsfv.Item, name string) int64 {
	if value, stated := item.Params.Get(name); stated {
		if n, is := value.(int64); is {
			return n
		}
	}
	return -1
}
