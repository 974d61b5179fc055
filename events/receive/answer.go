package receive

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// answer writes a status with a JSON body.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the sender may be gone
}

// refusal is the body of an answer other than success.
type refusal struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	// Index is the place of the event that is refused, from 0, in a batch.
	Index *int `json:"index,omitempty"`
}

// The error codes. The first is of RFC 6749, section 5.2, as OpenID Connect Back-Channel Logout 1.0, section 2.8, wants it.
const (
	codeInvalid     = "invalid_request"
	codeToken       = "invalid_token"
	codeOff         = "not_enabled"
	codeUnavailable = "temporarily_unavailable"
)

// unavailable says that nothing was accepted, and when to try again.
func unavailable(w http.ResponseWriter, after time.Duration, description string) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(after.Seconds())))))
	answer(w, http.StatusServiceUnavailable, refusal{Error: codeUnavailable, Description: description + "; nothing was accepted, try again"})
}

var errTooLarge = errors.New("the body is too large")

// readBody reads a request's body up to limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, errTooLarge
	case err != nil:
		return nil, errors.New("the body could not be read")
	}
	return body, nil
}
