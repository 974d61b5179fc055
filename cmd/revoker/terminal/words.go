package terminal

import (
	"fmt"
	"strconv"
	"time"
)

// None stands for a fact that is not there.
const None = "-"

// Moment is a time for people: RFC 3339 in UTC, to the second.
func Moment(t time.Time) string {
	if t.IsZero() {
		return None
	}
	return t.UTC().Format(time.RFC3339)
}

// Counted is a number with its noun, which gets an s unless n is 1.
func Counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Seconds is a duration for people, in its two largest units.
func Seconds(n int) string {
	switch days := n / 86400; {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, n%86400/3600)
	case n >= 3600:
		return fmt.Sprintf("%dh%dm", n/3600, n%3600/60)
	case n >= 60:
		return fmt.Sprintf("%dm%ds", n/60, n%60)
	}
	return fmt.Sprintf("%ds", n)
}
