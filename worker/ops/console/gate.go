package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"revoker/config"
)

const (
	cookieName  = "revoker_console"
	signedInFor = 12 * time.Hour
	maxName     = 64 // characters of an operator's name
	maxBody     = 64 << 10
	bodyTimeout = 5 * time.Second
)

// gate lets those act who know REVOKER_CONSOLE_TOKEN. In exchange for the token and a name, a browser gets a cookie. No script can
// read the cookie, and pages of other sites can't send it. Every worker that has the same token takes it, so that operators may
// reach another worker with each request. Changing the token ends all sessions.
type gate struct {
	token   config.Secret
	log     *slog.Logger
	guesses *guesses
	passes  *passes
}

func newGate(token config.Secret, log *slog.Logger) *gate {
	return &gate{token: token, log: log, guesses: newGuesses(), passes: newPasses(token)}
}

// open reports whether a token is configured. Without one nobody can act.
func (g *gate) open() bool { return !g.token.IsZero() }

// who returns the name that the sender gave, if the sender is signed in.
func (g *gate) who(r *http.Request) (name string, ok bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil || !g.open() {
		return "", false
	}
	return g.passes.name(cookie.Value)
}

// acting wraps a handler that changes something. Only those who are signed in reach it. The log says who did what.
func (g *gate) acting(do func(w http.ResponseWriter, r *http.Request, log *slog.Logger)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name, ok := g.who(r)
		if !ok {
			g.refuse(w)
			return
		}
		do(w, r, g.log.With("operator", name, "from", r.RemoteAddr))
	}
}

func (g *gate) refuse(w http.ResponseWriter) {
	if !g.open() {
		answer(w, http.StatusForbidden, failure{"The page is read-only: REVOKER_CONSOLE_TOKEN is not set."})
		return
	}
	answer(w, http.StatusUnauthorized, failure{"Sign in with the console token first."})
}

// signIn exchanges the token and a name for the cookie. It limits the guesses of each client address.
func (g *gate) signIn(w http.ResponseWriter, r *http.Request) {
	if !g.open() {
		g.refuse(w)
		return
	}
	var request struct{ Token, Name string }
	if !decode(w, r, &request) {
		return
	}
	if !g.guesses.allow(r.RemoteAddr) {
		answer(w, http.StatusTooManyRequests, failure{"Too many attempts. Wait a few seconds."})
		return
	}
	given, want := sha256.Sum256([]byte(request.Token)), sha256.Sum256([]byte(g.token.Reveal()))
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		g.log.Warn("somebody gave a wrong console token", "from", r.RemoteAddr)
		answer(w, http.StatusUnauthorized, failure{"That is not the console token."})
		return
	}
	name, ok := operatorName(request.Name, g.token)
	if !ok {
		answer(w, http.StatusBadRequest, failure{"Enter your name, at most 64 characters. The log records it with what you do."})
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: g.passes.issue(name), Path: "/", MaxAge: int(signedInFor.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
	g.log.Info("an operator signed in to the console", "operator", name, "from", r.RemoteAddr)
	answer(w, http.StatusOK, map[string]string{"operator": name})
}

// operatorName returns a name as the log shows it. It refuses one that holds the token, which somebody typed into the wrong field.
func operatorName(given string, token config.Secret) (name string, ok bool) {
	name = strings.Join(strings.Fields(given), " ")
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", false
	}
	return name, name != "" && utf8.RuneCountInString(name) <= maxName && !strings.Contains(name, token.Reveal())
}

// signOut takes the cookie from the browser. A copy of it is good until it runs out, or until the token is changed.
func (g *gate) signOut(w http.ResponseWriter, r *http.Request) {
	if name, ok := g.who(r); ok {
		g.log.Info("an operator signed out of the console", "operator", name, "from", r.RemoteAddr)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	answer(w, http.StatusOK, struct{}{})
}

// failure is the body of an answer that refuses a request. Error is for the operator to read.
type failure struct {
	Error string `json:"error"`
}

// decode reads a request's body into request. If it can't, it answers so and returns false.
func decode(w http.ResponseWriter, r *http.Request, request any) bool {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields() // ignoring a filter that an older page sends would choose too many letters
	err := decoder.Decode(request)
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		answer(w, http.StatusBadRequest, failure{"The request can't be read. If this page was open during an upgrade, load it again."})
	}
	return err == nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
