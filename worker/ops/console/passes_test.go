package console

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"revoker/config"
)

func TestAPassIsGoodForItsTokenAndItsTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	passesOf := func(token string) *passes {
		p := newPasses(config.NewSecret(token))
		p.now = func() time.Time { return now }
		return p
	}
	first, second, changed := passesOf(consoleToken), passesOf(consoleToken), passesOf(consoleToken+"2")
	pass := first.issue("Ada \u00c5ngstr\u00f6m.x")
	if name, ok := second.name(pass); !ok || name != "Ada \u00c5ngstr\u00f6m.x" {
		t.Errorf("another worker says %q, %v", name, ok)
	}
	if _, ok := changed.name(pass); ok {
		t.Error("a pass outlives its token")
	}
	other := first.issue("Eve")
	parts, others := strings.Split(pass, "."), strings.Split(other, ".")
	for name, forged := range map[string]string{
		"empty": "", "no signature": parts[0] + "." + parts[1], "an empty signature": parts[0] + "." + parts[1] + ".",
		"another name": others[0] + "." + parts[1] + "." + parts[2], "a later end": parts[0] + ".99999999999." + parts[2],
		"a part more": parts[0] + "." + pass, "a cut signature": pass[:len(pass)-4], "dots": "..",
	} {
		if who, ok := first.name(forged); ok {
			t.Errorf("%s: it is %q's", name, who)
		}
	}
	now = now.Add(signedInFor - 2*time.Second)
	if _, ok := first.name(pass); !ok {
		t.Error("it ran out too soon")
	}
	now = now.Add(2 * time.Second)
	if _, ok := first.name(pass); ok {
		t.Error("it never runs out")
	}
}

// Without a token nobody is signed in, although the key of no token is known to everybody.
func TestWithoutATokenNoPassIsGood(t *testing.T) {
	t.Parallel()
	g := newGate(config.Secret{}, slog.New(slog.DiscardHandler))
	request := httptest.NewRequest("GET", "/", nil)
	request.AddCookie(&http.Cookie{Name: cookieName, Value: newPasses(config.Secret{}).issue("Eve")})
	if name, ok := g.who(request); ok {
		t.Errorf("%q is signed in", name)
	}
}

func TestTheNameOfAnOperator(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"Ada": "Ada", "  Ada   Lovelace ": "Ada Lovelace", "\u00c5sa": "\u00c5sa", strings.Repeat("\u00e5", maxName): strings.Repeat("\u00e5", maxName),
		"": "", "   ": "", strings.Repeat("a", maxName+1): "", "A\x1b[2J": "", "A\u202eb": "", "A\xff": "", "x" + consoleToken: "",
	} {
		if name, ok := operatorName(given, config.NewSecret(consoleToken)); ok != (want != "") || ok && name != want {
			t.Errorf("%q: %q, %v", given, name, ok)
		}
	}
}

func TestSigningInTakesAName(t *testing.T) {
	t.Parallel()
	g := newGate(config.NewSecret(consoleToken), slog.New(slog.DiscardHandler))
	response := httptest.NewRecorder()
	g.signIn(response, httptest.NewRequest("POST", "/console/sign-in", strings.NewReader(`{"token":"`+consoleToken+`"}`)))
	if response.Code != http.StatusBadRequest || len(response.Result().Cookies()) > 0 {
		t.Errorf("%d %s", response.Code, response.Body)
	}
}
