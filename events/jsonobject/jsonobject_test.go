package jsonobject_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"revoker/events/jsonobject"
)

func TestWalk(t *testing.T) {
	text := ` {"a" : 1, "b":{"a":[2,{}]} ,"\u0063\"":"d\\" , "":[ ] }` + "\n"
	var got []string
	err := jsonobject.Walk([]byte(text), func(name, value []byte) error {
		got = append(got, string(name)+"="+string(value))
		return nil
	})
	if want := `a=1 b={"a":[2,{}]} c"="d\\" =[ ]`; strings.Join(got, " ") != want || err != nil {
		t.Errorf("%q has %v, %v, want %s", text, got, err, want)
	}

	stop := errors.New("stop")
	calls := 0
	err = jsonobject.Walk([]byte(`{"a":1,"b":2}`), func(_, _ []byte) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Errorf("%d calls, %v; want 1 and the error it returned", calls, err)
	}
}

func TestASyntaxErrorSaysWhere(t *testing.T) {
	for text, want := range map[string]string{
		``:               "not valid JSON: it ends too early",
		` `:              "not valid JSON: it ends too early",
		`{"a":1`:         "not valid JSON: it ends too early",
		`{"a":"b`:        "not valid JSON: it ends too early",
		`["a"`:           "not valid JSON: it ends too early",
		`{"a":1} x`:      "not valid JSON: something follows it at byte 9",
		`{"a":1}{`:       "not valid JSON: something follows it at byte 8",
		`["a"] "SECRET"`: "not valid JSON: something follows it at byte 7",
		`{"a":SECRET}`:   "not valid JSON at byte 6",
		`{"a":1,}`:       "not valid JSON at byte 7", // the comma
		"\ufeff{}":       "not valid JSON at byte 1",
	} {
		err := jsonobject.Walk([]byte(text), func(_, _ []byte) error { return nil })
		if err == nil || err.Error() != want || !errors.Is(err, jsonobject.ErrInvalid) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestNesting(t *testing.T) {
	for _, depth := range []int{9_999, 10_000, 10_001, 500_000} {
		for _, text := range []string{
			strings.Repeat("[", depth) + strings.Repeat("]", depth),
			strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth),
			strings.Repeat("[", depth),
		} {
			err := jsonobject.Walk([]byte(text), func(_, _ []byte) error { return nil })
			if got := !errors.Is(err, jsonobject.ErrInvalid); got != json.Valid([]byte(text)) {
				t.Errorf("%.10s, %d deep: %v, and encoding/json has it valid: %t", text, depth, err, !got)
			}
		}
	}
}

// What is valid, and which members there are, is the same for encoding/json, of two with one name the last.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{
		`{"a":1}`, ` { "a" : [ { "b" : "x" } , "}" ] , "n" : -1.5e+3 , "t" : true,"f":false,"z":null } `, `{}`, `[]`, `[1,{"a":[]},""]`, `"x"`,
		`{"\u0041\"":"\ud83d\ude00\\\/\b\f\n\r\t"}`, `{"a":1,"a":2}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":.5}`, `{"a":+1}`, `{"a":0e-0}`,
		`{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}}`, `{"a":1]`, `[1,]`, `[,]`, `[1 2]`, `{"a":tru}`, `{"a":nulL}`, `{"a":"\x"}`, `{"a":"\u12g4"}`,
		"{\"a\":\"\x00\"}", "{\"a\":\"\n\"}", "{\"\xff\":\"\xff\"}", "\x00", "", " ", "{", `{"`, `{"a`, `{"a\`, `{"a":"\u00`, "{\"a\":1\x00}", "\ufeff{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := map[string]string{}
		err := jsonobject.Walk(text, func(name, value []byte) error {
			var s string
			want := json.Unmarshal(value, &s) == nil && string(value) != "null"
			if text, err := jsonobject.Text(value); (err == nil) != want || text != s {
				t.Errorf("%q reads as %q, %v", value, text, err)
			}
			got[string(name)] = string(value)
			return nil
		})
		if valid := json.Valid(text); valid == errors.Is(err, jsonobject.ErrInvalid) {
			t.Fatalf("%q: %v, and encoding/json has it valid: %t", text, err, valid)
		}
		var want map[string]json.RawMessage
		isObject := json.Unmarshal(text, &want) == nil && want != nil
		if isObject != (err == nil) {
			t.Fatalf("%q: %v, and encoding/json has it an object: %t", text, err, isObject)
		}
		if err != nil {
			return
		}
		// Names that are not UTF-8 differ.
		for name, value := range want {
			if !strings.ContainsRune(name, '\ufffd') && got[name] != string(value) {
				t.Errorf("%q has %s=%q, want %q", text, name, got[name], value)
			}
		}
		if len(got) < len(want) {
			t.Errorf("%q has %d members, want %d", text, len(got), len(want))
		}
	})
}
