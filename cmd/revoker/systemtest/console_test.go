package systemtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

const consoleToken = "SECRET-console-token"

// pageOf starts a worker with a console token and returns it with the address of its HTTP side.
func pageOf(s *testsite.Site, more ...string) (*testproc.Process, string) {
	s.T.Helper()
	p := s.StartWorker(append([]string{"REVOKER_CONSOLE_TOKEN=" + consoleToken}, more...)...)
	return p, pageAddress(s.T, p)
}

var listeningAt = regexp.MustCompile(`"address":"(127\.0\.0\.1:\d+)"`)

func pageAddress(t testing.TB, p *testproc.Process) string {
	t.Helper()
	found := listeningAt.FindStringSubmatch(p.Stderr.String())
	if found == nil {
		t.Fatalf("no address in the log:\n%s", p.Stderr.String())
	}
	return "http://" + found[1]
}

// browser is a client that keeps cookies, and sends JSON as the page does.
type browser struct {
	t    *testing.T
	page string
	http *http.Client
}

func newBrowser(t *testing.T, page string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: testproc.Timeout, Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return &browser{t, page, client}
}

func (b *browser) do(method, path string, body any, headers ...string) (int, string) {
	b.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	request, err := http.NewRequest(method, b.page+path, bytes.NewReader(encoded))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.http.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (b *browser) signIn() {
	b.t.Helper()
	if status, text := b.do("POST", "/console/sign-in", map[string]string{"name": "Ada Lovelace", "token": consoleToken}); status != http.StatusOK {
		b.t.Fatalf("signing in: %d %s", status, text)
	}
}

// first returns the first message of the feed.
func (b *browser) first() string {
	b.t.Helper()
	response, err := b.http.Get(b.page + "/console/feed")
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil {
		b.t.Fatal(err)
	}
	return line
}

// withLetters is a site with n dead letters, of sessions whose number ends with 01.
func withLetters(t *testing.T, n int) (*testsite.Site, *testproc.Process, *browser) {
	t.Helper()
	s := testsite.New(t, testsite.Simulator{Bad: 100})
	s.StartNATS()
	worker, page := pageOf(s)
	s.Publish(0, n)
	s.WaitDone()
	testproc.WaitFor(t, "dead letters", func() bool { return len(s.DeadLetters("CALLER_ERROR")) == n })
	return s, worker, newBrowser(t, page)
}

func (b *browser) list(selection map[string]any) (list struct {
	Total   int
	Last    uint64
	Created time.Time
	Letters []struct{ Sequence uint64 }
}) {
	b.t.Helper()
	status, text := b.do("POST", "/console/letters", selection)
	if status != http.StatusOK {
		b.t.Fatalf("%d %s", status, text)
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// Nobody acts without the token; with it letters are replayed and discarded, by their number, by a filter or all; and the log
// says who did it.
func TestTheConsoleActsOnDeadLetters(t *testing.T) {
	t.Parallel()
	s, worker, b := withLetters(t, 10)
	everything := b.list(map[string]any{})
	if everything.Total != 10 || everything.Last != 10 || len(everything.Letters) != 10 || everything.Letters[0].Sequence != 10 {
		t.Fatalf("the list: %+v", everything)
	}
	one := map[string]any{"action": "discard", "selection": map[string]any{"sequences": []int{3}, "created": everything.Created}}
	all := map[string]any{"action": "replay", "all": true, "selection": map[string]any{"last": 10, "created": everything.Created}}
	for _, path := range []string{"/console/sweep", "/console/pause", "/console/resume"} {
		if status, _ := b.do("POST", path, one); status != http.StatusUnauthorized {
			t.Errorf("%s without the token: %d", path, status)
		}
	}
	if status, _ := b.do("POST", "/console/sign-in", map[string]string{"token": "SECRET-wrong"}); status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", status)
	}
	b.signIn()
	if status, text := b.do("POST", "/console/sweep", map[string]any{"action": "replay", "selection": map[string]any{"last": 10, "created": everything.Created}}); status != http.StatusBadRequest {
		t.Errorf("all letters without saying so: %d %s", status, text)
	}
	if status, text := b.do("POST", "/console/sweep", one, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("from another site's page: %d %s", status, text)
	}
	if n := b.list(map[string]any{}).Total; n != 10 {
		t.Fatalf("%d letters are left, though nothing was allowed", n)
	}
	if _, text := b.do("POST", "/console/sweep", one); !strings.Contains(text, `"over":true,"done":1,"gone":0`) {
		t.Errorf("discarding one: %s", text)
	}
	if _, text := b.do("POST", "/console/sweep", one); !strings.Contains(text, `"done":0`) {
		t.Errorf("discarding it again: %s", text)
	}
	if _, text := b.do("POST", "/console/sweep", all); !strings.Contains(text, `"done":9`) {
		t.Errorf("replaying the others: %s", text)
	}
	s.WaitDone()
	if n := b.list(map[string]any{"last": 10}).Total; n != 0 {
		t.Errorf("%d of the first letters are left", n)
	}
	testproc.WaitFor(t, "new letters", func() bool { return b.list(map[string]any{}).Total == 9 })
	log := worker.Stderr.String()
	if !regexp.MustCompile(`"msg":"an operator acted on dead letters","operator":"Ada Lovelace"`).MatchString(log) || strings.Contains(log, "SECRET") {
		t.Errorf("the log:\n%s", log)
	}
}

// A session ID is shown to those who are signed in and ask for one letter; nothing else has one.
func TestTheConsoleMasksSessions(t *testing.T) {
	t.Parallel()
	s, _, b := withLetters(t, 3)
	header := nats.Header{"X-Note": {"of SECRET-session-7"}}
	if _, err := s.JS.PublishMsg(s.Deadline(), &nats.Msg{Subject: "session.ended", Header: header, Data: []byte(`{"sessionId":"SECRET-session-7"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.JS.Publish(s.Deadline(), "session.ended", []byte(`SECRET no JSON`)); err != nil {
		t.Fatal(err)
	}
	s.WaitDone()
	testproc.WaitFor(t, "letters", func() bool { return b.list(map[string]any{}).Total == 5 })
	for _, path := range []string{"/console/letters/4", "/console/letters/5"} {
		if _, text := b.do("GET", path, nil); strings.Contains(text, "SECRET") || !strings.Contains(text, `"masked":true`) {
			t.Errorf("%s shows: %s", path, text)
		}
	}
	if _, text := b.do("POST", "/console/letters", map[string]string{"session": "SECRET-session-7"}); strings.Contains(text, "SECRET") || !strings.Contains(text, `"total":1`) {
		t.Errorf("chosen by its session: %s", text)
	}
	if text := b.first(); strings.Contains(text, "SECRET") || !strings.Contains(text, `"settled":[{`) {
		t.Errorf("the feed: %s", text)
	}
	b.signIn()
	_, fourth := b.do("GET", "/console/letters/4", nil)
	_, fifth := b.do("GET", "/console/letters/5", nil) // either may have come first
	if !strings.Contains(fourth+fifth, "of SECRET-session-7") || !strings.Contains(fourth+fifth, "SECRET no JSON") {
		t.Errorf("signed in: %s%s", fourth, fifth)
	}
}

func TestTheConsolePausesTheFleet(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s)
	b := newBrowser(t, page)
	b.signIn()
	if status, text := b.do("POST", "/console/pause", map[string]int{"seconds": 600}); status != http.StatusOK {
		t.Fatalf("pausing: %d %s", status, text)
	}
	if !s.Info().Paused {
		t.Error("the consumer is not paused")
	}
	testproc.WaitFor(t, "word of it", func() bool { return strings.Contains(b.first(), `"paused":true`) })
	if status, text := b.do("POST", "/console/resume", nil); status != http.StatusOK || s.Info().Paused {
		t.Errorf("resuming: %d %s", status, text)
	}
}

// While NATS says nothing, an operator is told so. That takes longer than the HTTP side gives other answers.
func TestTheConsoleSaysThatNATSIsSilent(t *testing.T) {
	t.Parallel()
	for path, body := range map[string]any{
		"/console/pause": nil,
		"/console/sweep": map[string]any{"action": "discard", "all": true, "selection": map[string]any{"last": 1, "created": time.Now()}},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := testsite.New(t, testsite.Simulator{})
			s.StartNATS()
			toNATS := testproc.NewRelay(t, strings.TrimPrefix(s.NATSURL, "nats://"))
			_, page := pageOf(s, "NATS_URL=nats://"+toNATS.Addr)
			b := newBrowser(t, page)
			b.signIn()
			toNATS.Silence()
			if status, text := b.do("POST", path, body); status != http.StatusBadGateway || !strings.Contains(text, `"error":"`) {
				t.Errorf("%d %s", status, text)
			}
		})
	}
}

// With a brake at few sessions, CALLER_ERROR for all of them holds the rest back. The page says so, and an operator lets them
// go on. It names a service that is held back, too.
func TestTheConsoleShowsWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{Bad: 100})
	s.StartNATS()
	_, page := pageOf(s, "REVOKER_CALLER_ERROR_BRAKE=5", "REVOKER_ALLOWED_SERVICE_IDS=77", "REVOKER_CONCURRENCY=2")
	b := newBrowser(t, page)
	if _, err := s.JS.Publish(s.Deadline(), "session.ended", []byte(`{"sessionId":"SECRET-foreign-1","serviceId":"77"}`)); err != nil {
		t.Fatal(err)
	}
	testproc.WaitFor(t, "word of the service", func() bool { return strings.Contains(b.first(), `"held":[{"service":"77","reason":"`) })
	s.Publish(0, 50)
	testproc.WaitFor(t, "the brake", func() bool { return strings.Contains(b.first(), `"braked":true`) })
	if status, _ := b.do("POST", "/console/resume", nil); status != http.StatusUnauthorized {
		t.Errorf("resuming without the token: %d", status)
	}
	if n := len(s.DeadLetters("CALLER_ERROR")); n == 50 {
		t.Error("the brake held nothing back")
	}
	b.signIn()
	if status, text := b.do("POST", "/console/resume", nil); status != http.StatusOK {
		t.Fatalf("resuming: %d %s", status, text)
	}
	testproc.WaitFor(t, "all dead letters", func() bool { return len(s.DeadLetters("CALLER_ERROR")) == 50 })
	if text := b.first(); strings.Contains(text, `"braked":true`) || strings.Contains(text, "SECRET") {
		t.Errorf("afterwards: %s", text)
	}
}

// A cookie of one worker is good at another with the same token, as behind a Service, and at none with another token.
func TestSigningInHoldsAtEveryWorker(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, first := pageOf(s)
	second, secondPage := pageOf(s)
	_, changed := pageOf(s, "REVOKER_CONSOLE_TOKEN=SECRET-changed-token")
	b := newBrowser(t, first)
	b.signIn()
	b.page = secondPage // the same host, so it sends the cookie
	if status, text := b.do("POST", "/console/pause", map[string]int{"seconds": 600}); status != http.StatusOK || !s.Info().Paused {
		t.Errorf("at the other worker: %d %s", status, text)
	}
	testproc.WaitFor(t, "word in its log of who did it", func() bool {
		return strings.Contains(second.Stderr.String(), `"msg":"an operator paused the consumers","operator":"Ada Lovelace"`)
	})
	b.page = changed
	if status, _ := b.do("POST", "/console/resume", nil); status != http.StatusUnauthorized || !s.Info().Paused {
		t.Errorf("at a worker with another token: %d", status)
	}
}

// Without a token nothing can be changed, and the page is served with a policy that lets nothing else run.
func TestTheConsoleIsReadOnlyWithoutAToken(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	b := newBrowser(t, pageAddress(t, s.StartWorker()))
	for path, body := range map[string]any{
		"/console/sign-in": map[string]string{"token": ""}, "/console/sweep": map[string]string{"action": "discard"}, "/console/pause": nil,
	} {
		if status, text := b.do("POST", path, body); status != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/", "/console.js", "/console.css", "/dom.js", "/fleet.js", "/plots.js", "/letters.js", "/uplot.js", "/uplot.css", "/icon.svg"} {
		response, err := b.http.Get(b.page + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		policy := response.Header.Get("Content-Security-Policy")
		if response.StatusCode != http.StatusOK || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %d, policy %q", path, response.StatusCode, policy)
		}
	}
	if status, _ := b.do("GET", "/../config/config.go", nil); status == http.StatusOK {
		t.Error("a path leads out of the page")
	}
}

func TestGuessingTheConsoleTokenIsSlow(t *testing.T) {
	t.Parallel()
	s := testsite.New(t, testsite.Simulator{})
	s.StartNATS()
	_, page := pageOf(s)
	b := newBrowser(t, page)
	began, taken := time.Now(), 0
	for i := range 20 {
		if status, _ := b.do("POST", "/console/sign-in", map[string]string{"token": fmt.Sprint("SECRET-guess-", i)}); status != http.StatusTooManyRequests {
			taken++
		}
	}
	if most := 5 + int(time.Since(began)/(2*time.Second)); taken > most { // five at once, and one more each two seconds
		t.Errorf("%d of 20 guesses were taken, want %d at most", taken, most)
	}
}
