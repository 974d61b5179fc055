package worker

import "strings"

// describeFailure says why no answer came. net/http's words for a port that speaks something else are about the protocol, and may
// go on with all that was sent instead.
func describeFailure(err error) string {
	const calling, look = "calling the logout API: ", ": look at AUTHLETE_BASE_URL"
	switch text := err.Error(); {
	case strings.Contains(text, "malformed HTTP"):
		return calling + "what answers does not speak HTTP" + look
	case strings.Contains(text, "server gave HTTP response to HTTPS client"), strings.Contains(text, "first record does not look like a TLS handshake"):
		return calling + "what answers on this port does not speak TLS" + look
	default:
		return text
	}
}
