package authlete

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"revoker/events/jsonobject"
)

// Action is what the logout API says of a call: https://docs.authlete.com (/nativesso/logout, response parameters).
type Action string

// The actions. Any other value is unknown and means nothing.
const (
	ActionOK          Action = "OK"
	ActionServerError Action = "SERVER_ERROR"
	ActionCallerError Action = "CALLER_ERROR"
)

// Response is what came back from one call.
type Response struct {
	// Status is the HTTP status; 0 where there was no response.
	Status int
	// Action is empty where the body has none, or no body of the API's could be read.
	Action Action
	// Count is the number of access and refresh token records that were deleted, 0 or more.
	Count int
	// ResultCode and ResultMessage are the API's own words. The message may quote the session ID.
	ResultCode    string
	ResultMessage string
	// RetryAfter is how long the answer asks to wait; 0 where it does not.
	RetryAfter time.Duration
	// RateLimit is what the answer states of the API's rate limit.
	RateLimit RateLimit
}

// errTwice ends the reading of an answer in which a member stands twice.
var errTwice = errors.New("a member stands twice")

// parseBody reads the body of a response into r. What is not the API's JSON, a gateway's page for example, is left out. So
// is an answer in which a member that is read stands twice: which of the two is meant is not known, and parsers differ. An
// oddity in one member does not hide the others.
func (r *Response) parseBody(body []byte) {
	var action, code, message, count []byte
	err := jsonobject.Walk(body, func(name, value []byte) error {
		var member *[]byte
		switch string(name) {
		case "action":
			member = &action
		case "resultCode":
			member = &code
		case "resultMessage":
			member = &message
		case "count":
			member = &count
		default:
			return nil
		}
		if *member != nil {
			return errTwice
		}
		*member = value
		return nil
	})
	if err != nil { // it is not JSON to its end, or not clear
		return
	}
	r.Action, r.ResultCode, r.ResultMessage = Action(text(action)), text(code), text(message)
	if n, err := strconv.Atoi(string(count)); err == nil && n > 0 {
		r.Count = n
	}
}

// text reads a string; anything else reads as none.
func text(value []byte) string {
	s, _ := jsonobject.Text(value)
	return s
}

// MaxRetryAfter bounds Retry-After, so that no single answer can stop revocation for longer.
const MaxRetryAfter = time.Hour

// parseRetryAfter reads the header by RFC 9110, section 10.2.3: seconds, or a date, which is held against the response's
// own Date where it has one, since clocks differ. The result is from 0 to MaxRetryAfter.
func parseRetryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		return min(time.Duration(seconds)*time.Second, MaxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}
