package authlete

import (
	"strings"
	"testing"
)

// TestParseBody: what is not the API's counts for nothing, and an oddity in one member hides no other.
func TestParseBody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want Response
	}{
		"all members": {`{"action":"OK","count":2,"resultCode":"A503001","resultMessage":"done"}`,
			Response{Action: ActionOK, Count: 2, ResultCode: "A503001", ResultMessage: "done"}},
		"unknown members": {`{"action":"OK","count":1,"service":{"number":5},"list":[1]}`, Response{Action: ActionOK, Count: 1}},
		"white space":     {" \r\n{\t\"action\" : \"OK\" }\n", Response{Action: ActionOK}},

		"count as a string":       {`{"action":"OK","count":"2"}`, Response{Action: ActionOK}},
		"count below zero":        {`{"action":"OK","count":-2}`, Response{Action: ActionOK}},
		"count with a fraction":   {`{"action":"OK","count":2.5}`, Response{Action: ActionOK}},
		"count beyond an integer": {`{"action":"OK","count":92233720368547758070}`, Response{Action: ActionOK}},
		"count null":              {`{"action":"OK","count":null}`, Response{Action: ActionOK}},
		"message as an object":    {`{"action":"OK","count":2,"resultMessage":{"text":"x"}}`, Response{Action: ActionOK, Count: 2}},
		"code as a number":        {`{"action":"OK","resultCode":503001}`, Response{Action: ActionOK}},
		"action as a number":      {`{"action":1,"count":2}`, Response{Count: 2}},
		"action null":             {`{"action":null,"resultCode":"A1"}`, Response{ResultCode: "A1"}},
		"action in an object":     {`{"response":{"action":"OK"}}`, Response{}},

		"two actions":              {`{"action":"CALLER_ERROR","action":"OK","count":2}`, Response{}},
		"two equal actions":        {`{"action":"OK","action":"OK"}`, Response{}},
		"two actions, one escaped": {`{"action":"OK","\u0061ction":"CALLER_ERROR"}`, Response{}},
		"two actions, one null":    {`{"action":"OK","action":null}`, Response{}},
		"two codes":                {`{"action":"OK","resultCode":"A1","resultCode":"A2"}`, Response{}},
		"two messages":             {`{"action":"OK","resultMessage":"a","resultMessage":"b"}`, Response{}},
		"two counts":               {`{"action":"OK","count":1,"count":2}`, Response{}},
		"two others":               {`{"action":"OK","x":1,"x":2,"y":{"action":1,"action":2}}`, Response{Action: ActionOK}},
		"invalid bytes":            {"{\"action\":\"OK\",\"resultMessage\":\"a\xff\"}", Response{Action: ActionOK, ResultMessage: "a\ufffd"}},

		"nothing":           {``, Response{}},
		"null":              {`null`, Response{}},
		"a string":          {`"OK"`, Response{}},
		"an array":          {`[{"action":"OK"}]`, Response{}},
		"half an object":    {`{"action":"OK","count":`, Response{}},
		"two objects":       {`{"action":"OK"}{"action":"OK"}`, Response{}},
		"an object, a page": {`{"action":"OK"}<html>`, Response{}},
		"a deep nest":       {strings.Repeat("[", 20000), Response{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got Response
			got.parseBody([]byte(test.body))
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
