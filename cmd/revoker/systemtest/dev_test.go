package systemtest

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"revoker/internal/testproc"
)

var devServer = regexp.MustCompile(`NATS  (nats://\S+)`)

func startDev(t *testing.T, env []string, args ...string) (p *testproc.Process, natsURL string) {
	t.Helper()
	p = testproc.Start(t, env, testproc.Binary(t, "revoker"), append([]string{"dev"}, args...)...)
	testproc.WaitFor(t, "dev's introduction", func() bool {
		if !p.Running() {
			t.Fatalf("dev ended:\n%s%s", p.Stdout.String(), p.Stderr.String())
		}
		if found := devServer.FindStringSubmatch(p.Stdout.String()); found != nil {
			natsURL = found[1]
		}
		return natsURL != ""
	})
	return p, natsURL
}

// publishTo publishes as `nats pub` does, once the stream is there.
func publishTo(t *testing.T, natsURL, payload string) {
	t.Helper()
	nc, err := nats.Connect(natsURL, nats.Timeout(testproc.Timeout))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	testproc.WaitFor(t, "stream", func() bool {
		_, err := nc.Request("session.ended", []byte(payload), testproc.Timeout)
		return err == nil
	})
}

func TestDevShowsTheJob(t *testing.T) {
	t.Parallel()
	// Settings of a real installation must not reach it.
	p, natsURL := startDev(t, []string{"NATS_URL=nats://127.0.0.1:1", "AUTHLETE_BASE_URL=https://us.authlete.com", "AUTHLETE_BEARER=SECRET"}, "--port", "0", "--rate", "50")
	publishTo(t, natsURL, `{"sessionId":"abc"}`)
	for _, want := range []string{
		"revoked      ba7816bf8f01  2 tokens deleted", "SERVER_ERROR (HTTP 500, A503101); attempt 2, again in", "tokens deleted; attempt 3",
		"CALLER_ERROR: the logout API answered CALLER_ERROR (HTTP 400, A503201)", "INVALID_EVENT: the payload has no sessionId",
	} {
		testproc.WaitFor(t, want, func() bool { return strings.Contains(p.Stdout.String(), want) })
	}
	p.Signal(os.Interrupt)
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.Stderr.String())
	}
	if summary := regexp.MustCompile(`\nIn (\d+m)?\d+s: \d+ sessions revoked, \d+ tokens deleted, \d+ attempts to retry, \d+ dead letters on dlq\.session\.ended, \d+ events? left\.\n$`); !summary.MatchString(p.Stdout.String()) {
		t.Errorf("no summary in\n%s", p.Stdout.String())
	}
	if strings.Contains(p.Stdout.String()+p.Stderr.String(), "SECRET") {
		t.Error("a secret of the environment is printed")
	}
}

// The curl command that dev prints ends a session.
func TestDevTakesSignalsOverHTTP(t *testing.T) {
	t.Parallel()
	p, _ := startDev(t, []string{"REVOKER_RECEIVE_TOKEN=SECRET-of-a-real-installation"}, "--port", "0", "--rate", "0")
	testproc.WaitFor(t, "the introduction", func() bool { return strings.Contains(p.Stdout.String(), "Ctrl-C stops.") })
	command := regexp.MustCompile(`curl -d '(.*)' -H '(.*): (.*)' (\S+)`).FindStringSubmatch(p.Stdout.String())
	if command == nil {
		t.Fatalf("no curl in\n%s", p.Stdout.String())
	}
	testproc.WaitFor(t, "success", func() bool { // the worker creates the stream
		request, err := http.NewRequest(http.MethodPost, command[4], strings.NewReader(command[1]))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(command[2], command[3])
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d does
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode == http.StatusAccepted
	})
	const want = "revoked      ba7816bf8f01  2 tokens deleted"
	testproc.WaitFor(t, want, func() bool { return strings.Contains(p.Stdout.String(), want) })
	p.Signal(os.Interrupt)
	if code := p.Wait(); code != 0 || strings.Contains(p.Stdout.String()+p.Stderr.String(), "SECRET") {
		t.Errorf("exit code %d:\n%s%s", code, p.Stdout.String(), p.Stderr.String())
	}
}

func TestDevKeepsItsStreamsInAFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p, natsURL := startDev(t, nil, "--port", "0", "--rate", "0", "--data", folder)
	publishTo(t, natsURL, `no event`)
	testproc.WaitFor(t, "dead letter", func() bool { return strings.Contains(p.Stdout.String(), "INVALID_EVENT") })
	p.Signal(os.Interrupt)
	p.Wait()
	_, natsURL = startDev(t, nil, "--port", "0", "--rate", "0", "--data", folder)
	nc, err := nats.Connect(natsURL, nats.Timeout(testproc.Timeout))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	reply, err := nc.Request("$JS.API.STREAM.INFO.SESSIONS_DLQ", nil, testproc.Timeout)
	if err != nil || !strings.Contains(string(reply.Data), `"messages":1,`) {
		t.Errorf("the dead letter is not there any more: %v %s", err, reply.Data)
	}
}

func TestDevSaysThatAPortIsTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := testproc.Start(t, nil, testproc.Binary(t, "revoker"), "dev", "--port", fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
	if code := p.Wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if text := p.Stderr.String(); !strings.Contains(text, "address already in use") || !strings.Contains(text, "--port") {
		t.Errorf("got %q", text)
	}
}

// A folder that can't be made is not told as a port that is taken, ten seconds later.
func TestDevSaysThatItsFolderCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := testproc.Start(t, nil, testproc.Binary(t, "revoker"), "dev", "--port", "0", "--data", filepath.Join(file, "streams"))
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr.String(), "--data: mkdir") {
		t.Errorf("exit code %d: %s", code, p.Stderr.String())
	}
}
