package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"revoker/internal/testissuer"
	"revoker/internal/testport"
	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// Each of so many senders awaits an answer before it sends the next signal.
const signalSenders = 64

// BenchmarkReceive holds `revoker receive` against bare loops: ratio is its rate of logout tokens, at full load, by that of a handler of
// 30 lines that verifies each token's signature with the same library, publishes it and awaits the confirmation. ratio-no-http is
// the same by a loop that does that without HTTP, in a process of its own. The three take turns. cpu-µs is what a signal costs the
// receiver, cpu-µs-bare the handler, and cpu-µs-no-http the loop; the senders and the NATS server are other processes. The senders take
// most of this machine's CPU, which the loop has for itself. ratio-cpu is what is left of the loop's rate where they are on other
// machines: its CPU time by the receiver's. Then signals come evenly, 500 in a second for a minute: ms-p99 is the time from sending one
// to its answer.
func BenchmarkReceive(b *testing.B) {
	const rounds, n = 6, 6_000
	testproc.Binary(b, "revoker")
	issuer := testissuer.New(b)
	issuer.Use(testissuer.RSAKey(b, "rsa"))
	for b.Loop() {
		s := testsite.NewStream(b)
		receive, receiver := startSignals(s, issuer, "")
		bare, handler := startSignals(s, issuer, "receive")
		var ours, handRolled, alone, aloneCPU float64
		for round := range rounds {
			tokens := signed(b, issuer, fmt.Sprintf("ours-%d", round), n)
			ours += rate(b, receive, tokens) / rounds
			tokens = signed(b, issuer, fmt.Sprintf("bare-%d", round), n)
			handRolled += rate(b, bare, tokens) / rounds
			perSecond, cpu := aloneRate(s, issuer, signed(b, issuer, fmt.Sprintf("alone-%d", round), n))
			alone, aloneCPU = alone+perSecond/rounds, aloneCPU+cpu/rounds
		}
		const all = rounds * n
		receiverCPU, bareCPU := cpuSoFar(b, receiver)/all, cpuSoFar(b, handler)/all
		handler.Kill()
		took := evenly(b, receive, signed(b, issuer, "evenly", 30_000), 2*time.Millisecond)
		receiver.Kill()
		noTime(b)
		b.ReportMetric(ours/handRolled, "ratio")
		b.ReportMetric(ours/alone, "ratio-no-http")
		b.ReportMetric(aloneCPU/receiverCPU, "ratio-cpu")
		b.ReportMetric(ours, "signals/s")
		b.ReportMetric(receiverCPU, "cpu-µs")
		b.ReportMetric(bareCPU, "cpu-µs-bare")
		b.ReportMetric(aloneCPU, "cpu-µs-no-http")
		b.ReportMetric(ms(quantile(took, 0.5)), "ms-p50")
		b.ReportMetric(ms(quantile(took, 0.99)), "ms-p99")
	}
}

// cpuSoFar is the CPU time of a running process, in µs.
func cpuSoFar(b *testing.B, p *testproc.Process) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, userErr := strconv.ParseFloat(fields[11], 64)
	system, systemErr := strconv.ParseFloat(fields[12], 64)
	if err := errors.Join(userErr, systemErr); err != nil {
		b.Fatal(err)
	}
	const tick = 10_000 // µs, of every Linux
	return (user + system) * tick
}

// startSignals starts the receiver, or a baseline, and returns the URL for logout tokens.
func startSignals(s *testsite.Site, issuer *testissuer.Issuer, baseline string) (string, *testproc.Process) {
	s.T.Helper()
	address := testport.Address(s.T)
	path := filepath.Join(s.T.TempDir(), "issuers.json")
	if err := os.WriteFile(path, fmt.Appendf(nil, `[{"name":"login","issuer":%q,"clientIds":[%q]}]`, issuer.URL, testissuer.ClientID), 0o600); err != nil {
		s.T.Fatal(err)
	}
	env := []string{"NATS_URL=" + s.NATSURL, "REVOKER_RECEIVE_ADDR=" + address, "REVOKER_RECEIVE_OPS_ADDR=", "REVOKER_RECEIVE_ISSUERS_FILE=" + path}
	program, args := testproc.Binary(s.T, "revoker"), []string{"receive"}
	if baseline != "" {
		program, args = os.Args[0], nil
		env = append(env, baselineVariable+"="+baseline, "KEY="+publicKey(s.T, issuer))
	}
	p := testproc.Start(s.T, env, program, args...)
	target := "http://" + address + "/backchannel-logout"
	testproc.WaitFor(s.T, "the receiver", func() bool { return post(http.DefaultClient, target, issuer.Token("first-"+baseline)) == http.StatusOK })
	return target, p
}

func publicKey(t testing.TB, issuer *testissuer.Issuer) string {
	t.Helper()
	key, err := json.Marshal(issuer.Key().JWK())
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

// signed are forms with a logout token for each of n sessions, made before the clock starts.
func signed(t testing.TB, issuer *testissuer.Issuer, run string, n int) []string {
	t.Helper()
	tokens := make([]string, n)
	var signing sync.WaitGroup
	for worker := range 2 {
		signing.Go(func() {
			for i := worker; i < n; i += 2 {
				tokens[i] = issuer.Token(benchSession(run, i))
			}
		})
	}
	signing.Wait()
	return tokens
}

// post sends a token and returns the status of the answer; 0 for none.
func post(client *http.Client, target, token string) int {
	response, err := client.Post(target, "application/x-www-form-urlencoded", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

func signalClient() *http.Client {
	return &http.Client{Timeout: testproc.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: signalSenders}}
}

// rate sends all tokens as fast as they are answered, and returns how many in a second.
func rate(b *testing.B, target string, tokens []string) float64 {
	b.Helper()
	client := signalClient()
	defer client.CloseIdleConnections()
	var sending sync.WaitGroup
	began := time.Now()
	for sender := range signalSenders {
		sending.Go(func() {
			for i := sender; i < len(tokens); i += signalSenders {
				if status := post(client, target, tokens[i]); status != http.StatusOK {
					b.Errorf("a signal was answered %d", status)
					return
				}
			}
		})
	}
	sending.Wait()
	return float64(len(tokens)) / time.Since(began).Seconds()
}

// aloneRate is what the loop without HTTP says of itself: signals per second, and µs of CPU for each.
func aloneRate(s *testsite.Site, issuer *testissuer.Issuer, tokens []string) (perSecond, cpu float64) {
	s.T.Helper()
	path := filepath.Join(s.T.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(strings.Join(tokens, "\n")), 0o600); err != nil {
		s.T.Fatal(err)
	}
	p := testproc.Start(s.T, []string{"NATS_URL=" + s.NATSURL, baselineVariable + "=verify", "KEY=" + publicKey(s.T, issuer), "TOKENS=" + path}, os.Args[0])
	if code := p.Wait(); code != 0 {
		s.T.Fatal(p.Stderr.String())
	}
	if _, err := fmt.Sscan(p.Stdout.String(), &perSecond, &cpu); err != nil {
		s.T.Fatal(err)
	}
	return perSecond, cpu
}

// evenly sends a token at each interval, and returns how long the answers took.
func evenly(b *testing.B, target string, tokens []string, interval time.Duration) []time.Duration {
	b.Helper()
	client := signalClient()
	defer client.CloseIdleConnections()
	took := make([]time.Duration, len(tokens))
	var sending sync.WaitGroup
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i, token := range tokens {
		<-ticker.C
		sending.Go(func() {
			began := time.Now()
			if status := post(client, target, token); status != http.StatusOK {
				b.Errorf("a signal was answered %d", status)
			}
			took[i] = time.Since(began)
		})
	}
	sending.Wait()
	return took[len(took)/10:] // the first tenth warms up
}
