package events_test

import (
	"fmt"

	"revoker/events"
)

func ExampleDecode() {
	payload := []byte(`{"sessionId": "sess-8f14e45f", "serviceId": "715948317", "endedAt": "2026-03-01T12:00:00Z", "reason": "logout"}`)
	event, err := events.Decode(nil, payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.SessionID) // printed, a session ID is its mask
	fmt.Println(string(event.SessionID))
	fmt.Println(event.ServiceID, event.Reason, event.EndedAt)
	// Output:
	// 79831f8d746e
	// sess-8f14e45f
	// 715948317 logout 2026-03-01 12:00:00 +0000 UTC
}

// The error is what the dead letter says. It quotes nothing of the message.
func ExampleDecode_invalid() {
	_, err := events.Decode(nil, []byte(`{"sessionID": "the member's name is wrong"}`))
	fmt.Println(err)
	// Output:
	// the payload has no sessionId
}
