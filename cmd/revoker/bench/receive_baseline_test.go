package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// verifier is what one would write in an hour to verify a logout token and publish its session.
type verifier struct {
	key jose.JSONWebKey
	js  jetstream.JetStream
}

func newVerifier() (v verifier, err error) {
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return v, err
	}
	v.js, err = jetstream.New(nc)
	return v, errors.Join(err, json.Unmarshal([]byte(os.Getenv("KEY")), &v.key))
}

func (v verifier) publish(ctx context.Context, text string) error {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	var claims struct {
		jwt.Claims
		SID string `json:"sid"`
	}
	if err := token.Claims(v.key, &claims); err != nil {
		return err
	}
	if err := claims.Validate(jwt.Expected{AnyAudience: jwt.Audience{"app"}, Time: time.Now()}); err != nil {
		return err
	}
	payload, err := json.Marshal(map[string]string{"sessionId": claims.SID})
	if err != nil {
		return err
	}
	_, err = v.js.Publish(ctx, "session.ended", payload, jetstream.WithMsgID(claims.SID))
	return err
}

// receive serves POST /backchannel-logout.
func (*baseline) receive() error {
	v, err := newVerifier()
	if err != nil {
		return err
	}
	http.HandleFunc("POST /backchannel-logout", func(w http.ResponseWriter, r *http.Request) {
		if err := v.publish(r.Context(), r.PostFormValue("logout_token")); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	return http.ListenAndServe(os.Getenv("REVOKER_RECEIVE_ADDR"), nil)
}

// verifyAlone does the same with the tokens of a file, and prints how many in a second, and the µs of CPU that each took.
func (*baseline) verifyAlone() error {
	v, err := newVerifier()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(os.Getenv("TOKENS"))
	if err != nil {
		return err
	}
	tokens := strings.Split(string(text), "\n")
	errs := make([]error, signalSenders)
	var working sync.WaitGroup
	began, cpu := time.Now(), ownCPU()
	for worker := range signalSenders {
		working.Go(func() {
			for i := worker; i < len(tokens) && errs[worker] == nil; i += signalSenders {
				errs[worker] = v.publish(context.Background(), tokens[i])
			}
		})
	}
	working.Wait()
	n := float64(len(tokens))
	fmt.Println(n/time.Since(began).Seconds(), (ownCPU()-cpu)/n)
	return errors.Join(errs...)
}

// ownCPU is the CPU time of this process, in µs.
func ownCPU() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1000
}
