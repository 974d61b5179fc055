package eventfile_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"revoker/events"
	"revoker/events/eventfile"
)

// fuzzedID is a session ID that nothing else contains.
const fuzzedID = "SECRET-7f3a91c2"

// Whatever a file is taken for, each of its rows is an event or says why not, and no error quotes it.
func FuzzDetect(f *testing.F) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write([]byte("sid\na\n"))
	_ = zip.Close()
	f.Add(packed.Bytes(), []byte{}, "")
	f.Add([]byte("first\n"), []byte("\r\nlast"), "")
	f.Add([]byte("sessionId;reason\n"), []byte(";\"a;b\"\n\"x\ny\";"), "")
	f.Add([]byte("a,b,c\n1,"), []byte(",2\n\n3,\"4\n"), "2")
	f.Add([]byte("\ufeffuser\tSID\nu\t"), []byte("\t\n"), "sid")
	f.Add([]byte(`{"sessionId":"`), []byte("\"}\n{\"sessionId\":1}\n{"), "")
	f.Add([]byte(`[{"sessionId":"`), []byte(`"}]`), "")
	f.Add([]byte("PK\x03\x04"), []byte("\x00"), "")
	f.Fuzz(func(t *testing.T, before, after []byte, column string) {
		if strings.Contains(column, fuzzedID) {
			return
		}
		content := append(append(before, fuzzedID...), after...)
		quoted := func(err error) bool { return strings.Contains(err.Error(), fuzzedID) || len(err.Error()) > 300 }
		r, err := eventfile.NewReader(bytes.NewReader(content), eventfile.Options{Column: column, ServiceID: "service"})
		if err != nil {
			if quoted(err) {
				t.Errorf("the error quotes the file: %v", err)
			}
			return
		}
		for rows := 0; ; rows++ {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if quoted(err) {
					t.Errorf("the error quotes the file: %v", err)
				}
				break
			}
			if rows > bytes.Count(content, []byte("\n"))+1 && !bytes.HasPrefix(content, []byte("\x1f\x8b")) {
				t.Fatalf("%d rows of %q", rows, content)
			}
			if row.Err != nil {
				if quoted(row.Err) {
					t.Errorf("the error quotes the row: %v", row.Err)
				}
				continue
			}
			again, err := events.Decode(nil, row.Event.Encode())
			if err != nil || again.SessionID != row.Event.SessionID || row.Event.ServiceID == "" {
				t.Errorf("a worker would read the row %q as %q: %v", row.Raw, string(again.SessionID), err)
			}
		}
	})
}
