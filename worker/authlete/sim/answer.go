package sim

import (
	"fmt"
	"net/http"
	"time"
)

// Answer is how the simulated API answers one call. The zero value is OK: the session's tokens are deleted.
type Answer struct {
	// Kind names the answer in the ledger.
	Kind Kind
	// Delay is added to the API's latency.
	Delay time.Duration
	// RetryAfter is sent as the Retry-After header, if not empty: seconds or an HTTP date.
	RetryAfter string
	// Status replaces the status that goes with the kind, if not 0.
	Status int
	// Body and ContentType replace the body, of kind Raw alone.
	Body        string
	ContentType string
	// Location is sent as the Location header, of kind Raw alone.
	Location string
}

// Kind is what an answer is.
type Kind string

// The kinds of answers. The refusals are what the API's front answers by itself for a wrong token, service, path, method
// or content type; tests script them too.
const (
	OK           Kind = ""
	ServerError  Kind = "SERVER_ERROR"
	CallerError  Kind = "CALLER_ERROR"
	BadRequest   Kind = "bad request"        // 400 without an action
	Unauthorized Kind = "unauthorized"       // 401, for a missing token
	WrongToken   Kind = "wrong token"        // 401
	Forbidden    Kind = "forbidden"          // 403
	NotFound     Kind = "not found"          // 404
	WrongMethod  Kind = "wrong method"       // 405
	WrongType    Kind = "wrong content type" // 415
	TooMany      Kind = "too many requests"  // 429
	Unavailable  Kind = "unavailable"        // 503, a gateway's page
	HTML         Kind = "html"               // 200, a gateway's page
	Empty        Kind = "empty"              // 200 without a body
	Cut          Kind = "cut"                // the connection is closed without an answer
	CutBody      Kind = "cut body"           // the connection is closed in the middle of the body
	Hang         Kind = "hang"               // no answer until the client gives up
	Endless      Kind = "endless"            // a body without an end
	Raw          Kind = "raw"                // Status, Body and ContentType as given
)

const page = "<html><body><h1>%d %s</h1></body></html>"

// result is the body of an answer that comes from the API's front rather than from the logout API: it has no action.
func result(code, text string) string {
	return fmt.Sprintf(`{"resultCode":%q,"resultMessage":"[%s] %s"}`, code, code, text)
}

// written is the status, content type and body that go with each kind; OK is written where the tokens are counted.
var written = map[Kind]struct {
	status      int
	contentType string
	body        string
}{
	ServerError: {http.StatusInternalServerError, jsonType,
		`{"action":"SERVER_ERROR","resultCode":"A503101","resultMessage":"[A503101] An error occurred on the server side."}`},
	CallerError: {http.StatusBadRequest, jsonType,
		`{"action":"CALLER_ERROR","resultCode":"A503201","resultMessage":"[A503201] The request has a problem."}`},
	BadRequest:   {http.StatusBadRequest, jsonType, result("A001101", "The request body could not be read as JSON.")},
	Unauthorized: {http.StatusUnauthorized, jsonType, result("A001202", "/nativesso/logout, Authorization header is missing.")},
	WrongToken:   {http.StatusUnauthorized, jsonType, result("A001203", "/nativesso/logout, the access token is not valid.")},
	Forbidden:    {http.StatusForbidden, jsonType, result("A001215", "/nativesso/logout, the access token is not allowed for this service.")},
	NotFound:     {http.StatusNotFound, jsonType, result("A001210", "/nativesso/logout, there is no such service.")},
	WrongMethod:  {http.StatusMethodNotAllowed, jsonType, result("A001103", "/nativesso/logout, the method must be POST.")},
	WrongType:    {http.StatusUnsupportedMediaType, jsonType, result("A001102", "/nativesso/logout, the content type must be application/json.")},
	TooMany:      {http.StatusTooManyRequests, jsonType, result("A001901", "/nativesso/logout, too many requests.")},
	Unavailable:  {http.StatusServiceUnavailable, "text/html", fmt.Sprintf(page, 503, "Service Unavailable")},
	HTML:         {http.StatusOK, "text/html", fmt.Sprintf(page, 200, "Welcome")},
	Empty:        {http.StatusOK, "", ""},
	CutBody:      {http.StatusOK, jsonType, `{"action":"OK","count":`},
	Endless:      {http.StatusOK, "", ""},
}

const jsonType = "application/json;charset=UTF-8"
