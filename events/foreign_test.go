package events_test

import (
	"testing"

	"revoker/events"
	"revoker/events/internal/eventstest"
)

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
			consumer, letters := h.Ensure(t)
			h.PublishRaw(t, c.lines, "the payload")
			if err := letters.Publish(eventstest.Deadline(t), h.Next(t, consumer), events.Letter{Reason: events.ReasonInvalidEvent}); err != nil {
				t.Fatal(err)
			}
			got := h.Letter(t)
			if string(got.Data) != "the payload" || got.Header.Get("X-Kept") != "a" || got.Header.Get(events.HeaderHeadersOmitted) != c.omitted {
				t.Errorf("payload %q, header %q", got.Data, got.Header)
			}
		})
	}
}
