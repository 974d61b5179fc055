package jsonobject_test

import (
	"testing"

	"revoker/events/jsonobject"
)

// BenchmarkWalk reads an event, and the API's answer to it.
func BenchmarkWalk(b *testing.B) {
	texts := [][]byte{
		[]byte(`{"sessionId":"SECRET-session-of-some-length-1234567"}`),
		[]byte(`{"resultCode":"A503001","resultMessage":"[A503001] The logout request was processed.","action":"OK","count":2}`),
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, text := range texts {
			if err := jsonobject.Walk(text, func(_, _ []byte) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
}
