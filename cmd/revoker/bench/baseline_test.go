package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/internal/testproc"
	"revoker/internal/testsite"
)

// baselineVariable names the loop that the process is to be, for what the benchmarks compare revoker with.
const baselineVariable = "BASELINE"

// baselines are loops that each do a part of revoker's work, or all of it as one would write it in an hour.
var baselines = map[string]func(*baseline) error{
	"hand-rolled": (*baseline).handRolled,
	"http":        (*baseline).callAlone,
	"consume":     (*baseline).consumeAlone,
	"receive":     (*baseline).receive,
	"verify":      (*baseline).verifyAlone,
}

// baseline is what a loop needs; it is told by the environment, as revoker is.
type baseline struct {
	client      *http.Client
	concurrency int
	n           int // for the bare loops, which end by themselves
}

func runBaseline(name string) int {
	concurrency, _ := strconv.Atoi(os.Getenv("REVOKER_CONCURRENCY"))
	n, _ := strconv.Atoi(os.Getenv("EVENTS"))
	l := &baseline{concurrency: concurrency, n: n, client: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency, IdleConnTimeout: time.Minute},
	}}
	if err := baselines[name](l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (l *baseline) connect() (*nats.Conn, jetstream.Consumer, error) {
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, nil, err
	}
	consumer, err := js.Consumer(context.Background(), "SESSIONS", "revoker")
	return nc, consumer, err
}

// post makes one call and reads its answer.
func (l *baseline) post(body []byte) (action string, err error) {
	url := os.Getenv("AUTHLETE_BASE_URL") + "/api/" + testsite.ServiceID + "/nativesso/logout"
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+testsite.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := l.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var object struct{ Action string }
	err = json.Unmarshal(answer, &object)
	return object.Action, err
}

// handRolled hands deliveries to a pool of goroutines that call, and retry in place with exponential backoff.
func (l *baseline) handRolled() error {
	nc, consumer, err := l.connect()
	if err != nil {
		return err
	}
	work := make(chan jetstream.Msg)
	var pool sync.WaitGroup
	for range l.concurrency {
		pool.Go(func() {
			for msg := range work {
				l.handle(msg)
			}
		})
	}
	consuming, err := consumer.Consume(func(msg jetstream.Msg) { work <- msg }, jetstream.PullMaxMessages(2*l.concurrency))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, `"msg":"working"`)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	consuming.Stop()
	<-consuming.Closed()
	close(work)
	pool.Wait()
	return nc.Drain()
}

func (l *baseline) handle(msg jetstream.Msg) {
	var event struct{ SessionID string }
	if err := json.Unmarshal(msg.Data(), &event); err != nil {
		_ = msg.Term()
		return
	}
	body, _ := json.Marshal(map[string]string{"sessionId": event.SessionID})
	err := backoff.Retry(func() error {
		action, err := l.post(body)
		if err == nil && action != "OK" {
			err = fmt.Errorf("answered %s", action)
		}
		return err
	}, backoff.NewExponentialBackOff(backoff.WithMaxElapsedTime(25*time.Second)))
	if err != nil {
		_ = msg.NakWithDelay(5 * time.Second)
		return
	}
	_ = msg.Ack()
}

// callAlone makes the calls of n events and throws the answers away but for their status. Its client is as bare as one can be: a
// timeout of its own and an offer to take compressed answers would make revoker look better by an eighth.
func (l *baseline) callAlone() error {
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns: l.concurrency, MaxIdleConnsPerHost: l.concurrency, DisableCompression: true,
	}}
	var next, failed atomic.Int64
	var pool sync.WaitGroup
	url := os.Getenv("AUTHLETE_BASE_URL") + "/api/" + testsite.ServiceID + "/nativesso/logout"
	for range l.concurrency {
		pool.Go(func() {
			for i := next.Add(1) - 1; i < int64(l.n); i = next.Add(1) - 1 {
				request, _ := http.NewRequest(http.MethodPost, url, bytes.NewReader(fmt.Appendf(nil, `{"sessionId":"SECRET-session-%d"}`, i)))
				request.Header.Set("Authorization", "Bearer "+testsite.Token)
				request.Header.Set("Content-Type", "application/json")
				response, err := client.Do(request)
				if err != nil {
					failed.Add(1)
					continue
				}
				if _, err = io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				response.Body.Close()
			}
		})
	}
	pool.Wait()
	if failed.Load() > 0 {
		return fmt.Errorf("%d calls failed", failed.Load())
	}
	return nil
}

// consumeAlone takes n events and acknowledges each, and does nothing else.
func (l *baseline) consumeAlone() error {
	nc, consumer, err := l.connect()
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	all.Add(l.n)
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		_ = msg.Ack()
		all.Done()
	})
	if err != nil {
		return err
	}
	all.Wait()
	consuming.Stop()
	defer nc.Close()
	return nc.FlushTimeout(testproc.Timeout) // the last acknowledgements too
}
