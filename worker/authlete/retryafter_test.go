package authlete

import (
	"net/http"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	const noon = "Sun, 01 Mar 2026 12:00:00 GMT"
	for name, test := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"none":              {"", "", 0},
		"none but a date":   {"", noon, 0},
		"seconds":           {"120", "", 2 * time.Minute},
		"seconds, a date":   {"120", "Sun, 01 Mar 2026 09:00:00 GMT", 2 * time.Minute},
		"zero":              {"0", "", 0},
		"leading zeros":     {"0007", "", 7 * time.Second},
		"the cap":           {"3600", "", MaxRetryAfter},
		"beyond the cap":    {"3601", "", MaxRetryAfter},
		"32 bits":           {"4294967295", "", MaxRetryAfter},
		"beyond 32 bits":    {"4294967296", "", MaxRetryAfter},
		"beyond 64 bits":    {"99999999999999999999", "", MaxRetryAfter},
		"negative":          {"-5", "", 0},
		"signed":            {"+5", "", 0},
		"a fraction":        {"1.5", "", 0},
		"an exponent":       {"1e3", "", 0},
		"hexadecimal":       {"0x10", "", 0},
		"a unit":            {"5s", "", 0},
		"words":             {"in a minute", "", 0},
		"two values":        {"5, 6", "", 0},
		"RFC 1123":          {"Sun, 01 Mar 2026 12:00:30 GMT", "", 30 * time.Second},
		"RFC 850":           {"Sunday, 01-Mar-26 12:00:30 GMT", "", 30 * time.Second},
		"asctime":           {"Sun Mar  1 12:00:30 2026", "", 30 * time.Second},
		"a date at the cap": {"Sun, 01 Mar 2026 13:00:00 GMT", "", MaxRetryAfter},
		"far in the future": {"Fri, 31 Dec 9999 23:59:59 GMT", "", MaxRetryAfter},
		"now":               {noon, "", 0},
		"in the past":       {"Sun, 01 Mar 2026 11:59:59 GMT", "", 0},
		"long past":         {"Mon, 01 Jan 0001 00:00:00 GMT", "", 0},
		"no such day":       {"Sun, 31 Feb 2026 12:00:30 GMT", "", 0},

		"the server is an hour ahead":      {"Sun, 01 Mar 2026 13:00:30 GMT", "Sun, 01 Mar 2026 13:00:00 GMT", 30 * time.Second},
		"the server is an hour behind":     {"Sun, 01 Mar 2026 11:00:30 GMT", "Sun, 01 Mar 2026 11:00:00 GMT", 30 * time.Second},
		"the server is a century behind":   {"Thu, 01 Jan 1920 00:00:30 GMT", "Thu, 01 Jan 1920 00:00:00 GMT", 30 * time.Second},
		"past by the server's own clock":   {"Sun, 01 Mar 2026 12:30:00 GMT", "Sun, 01 Mar 2026 13:00:00 GMT", 0},
		"the server's date cannot be read": {"Sun, 01 Mar 2026 12:00:30 GMT", "yesterday", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			for key, value := range map[string]string{"Retry-After": test.value, "Date": test.date} {
				if value != "" {
					header.Set(key, value)
				}
			}
			if got := parseRetryAfter(header, now); got != test.want {
				t.Errorf("Retry-After %q, Date %q: %s, want %s", test.value, test.date, got, test.want)
			}
		})
	}
}
