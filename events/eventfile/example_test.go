package eventfile_test

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"revoker/events/eventfile"
)

func ExampleReader() {
	file := strings.NewReader("email,session_id,reason\na@example.com,sess-1,logout\nb@example.com,,logout\nc@example.com,sess-3,\n")
	rows, err := eventfile.NewReader(file, eventfile.Options{Reason: "incident"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if row.Err != nil {
			fmt.Printf("line %d: %v\n", row.Line, row.Err)
			continue
		}
		fmt.Printf("line %d: %s, %s\n", row.Line, string(row.Event.SessionID), row.Event.Reason)
	}
	// Output:
	// line 2: sess-1, logout
	// line 3: sessionId is empty
	// line 4: sess-3, incident
}
