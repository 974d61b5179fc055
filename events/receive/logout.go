package receive

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"revoker/events"
	"revoker/events/receive/issuer"
	"revoker/events/receive/logouttoken"
)

const (
	maxLogoutBody = 64 << 10 // bytes
	logoutReason  = "backchannel-logout"
	// verifyTimeout bounds the wait for an issuer's keys.
	verifyTimeout = 6 * time.Second
	// unknownKeysRetry is what Retry-After says if the keys can't be known at the moment. The next fetch is due by then.
	unknownKeysRetry = 12 * time.Second
)

// logout is POST /backchannel-logout: https://openid.net/specs/openid-connect-backchannel-1_0.html#BCRequest
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if len(s.issuers) == 0 {
		answer(w, http.StatusNotFound, refusal{Error: codeOff, Description: "this endpoint is off: REVOKER_RECEIVE_ISSUERS_FILE is not set"})
		return
	}
	text, err := readToken(w, r)
	if err != nil {
		s.refuse(sourceUnknown, reasonBody)
		answer(w, http.StatusBadRequest, refusal{Error: codeInvalid, Description: err.Error()})
		return
	}
	if !s.take(w, s.logoutSlots) { // only now: anyone may send a body slowly
		return
	}
	defer func() { <-s.logoutSlots }()
	from, logout, err := s.verify(r.Context(), text)
	var refused *logouttoken.Refusal
	switch {
	case errors.As(err, &refused):
		s.refuse(sourceOf(from), refused.Reason)
		answer(w, http.StatusBadRequest, refusal{Error: codeInvalid, Description: refused.Text})
		return
	case errors.Is(err, issuer.ErrBudget):
		s.metrics.undecided(sourceOf(from))
		unavailable(w, unknownKeysRetry, "the token's key is not known at the moment")
		return
	case err != nil:
		s.metrics.unstored(sourceOf(from), 1)
		unavailable(w, unknownKeysRetry, "the issuer's keys are not known at the moment")
		return
	}
	s.end(w, r, from, logout)
}

// end stores the event of a verified token, and answers.
func (s *Server) end(w http.ResponseWriter, r *http.Request, from *issuer.Issuer, logout logouttoken.Logout) {
	signal := s.signal(r, from.Name, events.Event{
		SessionID: logout.Session, ServiceID: from.ServiceID, EndedAt: logout.IssuedAt, Reason: logoutReason,
	})
	if _, err := s.store.put(r.Context(), signal); err != nil {
		s.metrics.unstored(from.Name, 1)
		unstored(w)
		return
	}
	s.metrics.accept(from.Name, 1)
	w.WriteHeader(http.StatusOK)
}

// readToken takes the form field out of a request. Other fields are ignored, as section 2.5 wants it.
func readToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/x-www-form-urlencoded" {
		return "", errors.New("the Content-Type must be application/x-www-form-urlencoded")
	}
	body, err := readBody(w, r, maxLogoutBody)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", errors.New("the body is not a form")
	}
	if tokens := form["logout_token"]; len(tokens) == 1 && tokens[0] != "" {
		return tokens[0], nil
	}
	return "", errors.New("the form must have one logout_token")
}

// verify returns whose token it is, if that is known, and what it says. An error other than a refusal means that it can't be told at
// the moment.
func (s *Server) verify(ctx context.Context, text string) (*issuer.Issuer, logouttoken.Logout, error) {
	token, err := logouttoken.Parse(text)
	if err != nil {
		return nil, logouttoken.Logout{}, err
	}
	from := s.issuers[token.Issuer()]
	if from == nil {
		return nil, logouttoken.Logout{}, &logouttoken.Refusal{Reason: logouttoken.ReasonIssuer, Text: "the logout token's iss is not a configured issuer"}
	}
	// A provider that does not wait for the answer any more may not send again, so its token is worth the work all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), verifyTimeout)
	defer cancel()
	logout, err := from.Verify(ctx, token)
	return from, logout, err
}

func sourceOf(from *issuer.Issuer) string {
	if from == nil {
		return sourceUnknown
	}
	return from.Name
}
