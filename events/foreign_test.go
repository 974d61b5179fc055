package events_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
)

// publishRaw publishes an event by the protocol itself, since other clients send headers that nats.go refuses to.
func (h *harness) publishRaw(t *testing.T, lines, payload string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.server.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers, err := h.nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	header := "NATS/1.0\r\n" + lines + "\r\n\r\n"
	_, err = fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"headers\":true}\r\nHPUB %s %s %d %d\r\n%s%s\r\nPING\r\n",
		h.cfg.Subject, answers.Subject, len(header), len(header)+len(payload), header, payload)
	if err != nil {
		t.Fatal(err)
	}
	for in, line := bufio.NewReader(conn), ""; line != "PONG\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := answers.NextMsg(testTimeout)
	if err != nil {
		t.Fatal(err)
	}
	var stored jetstream.PubAck
	if err := json.Unmarshal(answer.Data, &stored); err != nil || stored.Sequence == 0 {
		t.Fatalf("the event was not stored: %s", answer.Data)
	}
}

// A header that nats.go does not send must not keep a letter out of its stream for ever.
func TestAnotherClientsHeadersDoNotKeepALetterOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ lines, omitted string }{
		"a name with a space":     {"X-Kept: a\r\nA Name: b\r\n", "1"},
		"names with delimiters":   {"X-Kept: a\r\nA@b: c\r\n\"q\": d\r\n", "2"},
		"names beyond ASCII":      {"X-Kept: a\r\nÜ: b\r\nX-\xff: c\r\n\x00: d\r\n", "3"},
		"values beyond UTF-8":     {"X-Kept: a\r\nX-Odd: \xff\x00\r\n", ""},
		"an instruction's shadow": {"X-Kept: a\r\n Nats-Rollup: all\r\nNats-Rollup : all\r\n", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			consumer, letters := h.setup(t)
			h.publishRaw(t, c.lines, "the payload")
			if err := letters.Publish(deadline(t), h.next(t, consumer), events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
				t.Fatal(err)
			}
			got := h.letter(t)
			if string(got.Data) != "the payload" || got.Header.Get("X-Kept") != "a" || got.Header.Get(events.HeaderHeadersOmitted) != c.omitted {
				t.Errorf("payload %q, header %q", got.Data, got.Header)
			}
		})
	}
}
