package eventfile_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"revoker/events/eventfile"
)

// read returns each row as "line:service/session/reason" or "line!error".
func read(t testing.TB, in io.Reader, options eventfile.Options) (format eventfile.Format, rows []string, err error) {
	t.Helper()
	r, err := eventfile.NewReader(in, options)
	if err != nil {
		return "", nil, err
	}
	for {
		row, err := r.Next()
		switch {
		case err == io.EOF:
			return r.Format(), rows, nil
		case err != nil:
			return r.Format(), rows, err
		case row.Err != nil:
			rows = append(rows, fmt.Sprintf("%d!%v", row.Line, row.Err))
		default:
			rows = append(rows, fmt.Sprintf("%d:%s/%s/%s", row.Line, row.Event.ServiceID, string(row.Event.SessionID), row.Event.Reason))
		}
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		name, text string
		options    eventfile.Options
		format     eventfile.Format
		rows       string
	}{
		{"nothing", "", eventfile.Options{}, eventfile.Lines, ""},
		{"lines", "a\nb\nc", eventfile.Options{}, eventfile.Lines, "1:/a/ 2:/b/ 3:/c/"},
		{"CR LF, a BOM, blanks", "\ufeffa\r\n\r\n  \r\n\t b \r\n", eventfile.Options{}, eventfile.Lines, "1:/a/ 4:/b/"},
		{"no comments: it may be an ID", "#a\n", eventfile.Options{}, eventfile.Lines, "1:/#a/"},
		{"an ID in braces", "{a-b}\n", eventfile.Options{}, eventfile.Lines, "1:/{a-b}/"},
		{"a comma somewhere", "a\nb,c\nd\n", eventfile.Options{}, eventfile.Lines, "1:/a/ 2:/b,c/ 3:/d/"},
		{"invalid lines", "a\nb\x01\n" + long + "\n\xff\n", eventfile.Options{}, eventfile.Lines,
			"1:/a/ 2!sessionId has a control character 3!sessionId has 1025 bytes; at most 1024 are allowed 4!sessionId is not valid UTF-8"},
		{"what rows leave open", "a\n", eventfile.Options{ServiceID: "s", Reason: "r"}, eventfile.Lines, "1:s/a/r"},

		{"CSV with titles", "user,session_id,Reason\nu,a,r\nv,b,\n", eventfile.Options{Reason: "d"}, eventfile.CSV, "2:/a/r 3:/b/d"},
		{"one titled column", "SessionID\na\nb\n", eventfile.Options{}, eventfile.CSV, "2:/a/ 3:/b/"},
		{"semicolons", "sid;serviceId\na;7\n", eventfile.Options{}, eventfile.CSV, "2:7/a/"},
		{"tabs", "x\tsid\n\ta\n", eventfile.Options{}, eventfile.CSV, "2:/a/"},
		{"two candidates and a number", "sid,sessionId\na,b\n", eventfile.Options{Column: "2"}, eventfile.CSV, "2:/b/"},
		{"two candidates and a name", "sid,sessionId\na,b\n", eventfile.Options{Column: "sessionid"}, eventfile.CSV, "2:/b/"},
		{"a named column", "id,the key\n1,a\n", eventfile.Options{Column: "The Key"}, eventfile.CSV, "2:/a/"},
		{"a numbered column", "1,a\n2,b\n", eventfile.Options{Column: "2"}, eventfile.CSV, "1:/a/ 2:/b/"},
		{"a numbered column with titles", "reason,key\nr,a\n", eventfile.Options{Column: "2"}, eventfile.CSV, "2:/a/r"},
		{"quotation", "sid,note\n\"a,\"\"b\"\"\",\"two\nlines\"\nc, \"d\"\n", eventfile.Options{}, eventfile.CSV, `2:/a,"b"/ 4:/c/`},
		{"quoted lines", "\"a\"\n\"b\"\n", eventfile.Options{}, eventfile.CSV, "1:/a/ 2:/b/"},
		{"short rows", "note,sid\nonly\nn,a\n", eventfile.Options{Format: eventfile.CSV}, eventfile.CSV,
			"2!the row has 1 columns; the session ID is in column 2 3:/a/"},
		{"a stray quotation mark spoils its own row alone", "sid,note\n\"a,n\nb,n\nc\"d,n\ne,n\n", eventfile.Options{Format: eventfile.CSV}, eventfile.CSV,
			`2!is not CSV: extraneous or missing " in quoted-field 3:/b/ 4!is not CSV: bare " in non-quoted-field 5:/e/`},
		{"a broken row does not make it lines", "note,sid\nx,a\n\"y,b\nz\nv\nw\nu,c\n", eventfile.Options{}, eventfile.CSV,
			`2:/a/ 3!is not CSV: extraneous or missing " in quoted-field 4!the row has 1 columns; the session ID is in column 2 ` +
				`5!the row has 1 columns; the session ID is in column 2 6!the row has 1 columns; the session ID is in column 2 7:/c/`},
		{"an empty cell", "sid,note\n,n\n", eventfile.Options{}, eventfile.CSV, "2!sessionId is empty"},

		{"JSON", `{"sessionId":"a","serviceId":"7","reason":"r","more":1}` + "\n\n" + `{"sessionId":1}` + "\n{\n", eventfile.Options{Reason: "d"}, eventfile.JSON,
			"1:7/a/r 3!sessionId is not a string 4!the payload is not valid JSON: it ends too early"},
		{"the format is given", "{\"a\n", eventfile.Options{Format: eventfile.Lines}, eventfile.Lines, "1:/{\"a/"},
	} {
		for kind, in := range map[string]io.Reader{
			"plain": strings.NewReader(c.text), "gzip": strings.NewReader(zipped(c.text)), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text)),
		} {
			format, rows, err := read(t, in, c.options)
			if got := strings.Join(rows, " "); err != nil || format != c.format || got != c.rows {
				t.Errorf("%s, %s: got %s %q %v, want %s %q", c.name, kind, format, got, err, c.format, c.rows)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		options eventfile.Options
		want    string
	}{
		{"\xff\xfea\x00", eventfile.Options{}, "iconv"},
		{"PK\x03\x04…", eventfile.Options{}, "spreadsheet"},
		{"\x28\xb5\x2f\xfd…", eventfile.Options{}, "zstdcat"},
		{"a\x00b\n", eventfile.Options{}, "binary"},
		{"[\n{\"sessionId\":\"a\"}]", eventfile.Options{}, "jq -c"},
		{"SECRET,x\nb,y\n", eventfile.Options{}, "--column"},
		{"SECRET,x\nb\n", eventfile.Options{}, "--column"},
		{"sid,sessionId\nSECRET,y\n", eventfile.Options{}, "several columns titled sessionId or sid: say which one with --column NUMBER"},
		{"sid,note,SID\nSECRET,x,y\n", eventfile.Options{}, "several columns titled sessionId or sid"},
		{"sid,note,SID\nSECRET,x,y\n", eventfile.Options{Column: "sid"}, "several columns have this title"},
		{"sid,serviceId,service_id\nSECRET,1,2\n", eventfile.Options{}, "several columns titled serviceId"},
		{"SECRET,x\nb,y\n", eventfile.Options{Column: "3"}, "has 2 columns"},
		{"SECRET,x\nb,y\n", eventfile.Options{Column: "key"}, "no column of this title"},
		{`{"sessionId":"SECRET"}`, eventfile.Options{Column: "key"}, "--column is for CSV"},
		{zipped("a\n")[:12], eventfile.Options{}, "EOF"},
	} {
		if _, _, err := read(t, strings.NewReader(c.text), c.options); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
	}
}

func TestLongLines(t *testing.T) {
	t.Parallel()
	text := "a\n" + strings.Repeat("y", 3<<20) + "\nb\n" + strings.Repeat("z", 100<<10) + "\nc\n"
	_, rows, err := read(t, strings.NewReader(text), eventfile.Options{})
	want := "1:/a/ 2!the line is longer than 1048576 bytes 3:/b/ 4!sessionId has 102400 bytes; at most 1024 are allowed 5:/c/"
	if got := strings.Join(rows, " "); err != nil || got != want {
		t.Errorf("got %v %v", rows, err)
	}
}

// A file that ends in the middle is an error, not an end.
func TestABrokenFileIsAnError(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("0123456789abcdef\n", 100_000)
	cut := zipped(lines)
	cut = cut[:len(cut)-20]
	_, rows, err := read(t, strings.NewReader(cut), eventfile.Options{})
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(rows) == 0 {
		t.Errorf("got %d rows, %v", len(rows), err)
	}
	broken := errors.New("broken")
	in := io.MultiReader(strings.NewReader("sid,note\na,b\n"), iotest.ErrReader(broken))
	if _, rows, err := read(t, in, eventfile.Options{}); !errors.Is(err, broken) || len(rows) != 1 {
		t.Errorf("got %v, %v", rows, err)
	}
}

// Whatever is in a file, each line that is not blank is in exactly one row, and nothing panics.
func FuzzReader(f *testing.F) {
	f.Add("a\nb\r\n\nc", "lines")
	f.Add("x,\"y\nz\"\n\"a\nb,c\n", "csv")
	f.Add("\"\n\"\n\"\"\n,\"\n", "csv")
	f.Add(`{"sessionId":"a"}`+"\n{", "json")
	f.Add("\r\r", "lines")
	f.Fuzz(func(t *testing.T, text, format string) {
		f, err := eventfile.ParseFormat(format)
		if err != nil {
			return
		}
		options := eventfile.Options{Format: f}
		if f == eventfile.CSV {
			options.Column = "1"
		}
		r, err := eventfile.NewReader(strings.NewReader(text), options)
		if err != nil {
			return
		}
		var got []string
		last := int64(0)
		for {
			row, err := r.Next()
			if err != nil {
				break
			}
			if row.Line <= last {
				t.Fatalf("line %d after line %d", row.Line, last)
			}
			last = row.Line
			for line := range strings.SplitSeq(string(row.Raw), "\n") {
				got = append(got, line)
			}
		}
		want := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
		for i := range want {
			want[i] = strings.TrimSuffix(want[i], "\r") // of rows as of lines, one CR before the LF is the line's end
		}
		blank := func(line string) bool { return strings.Trim(line, " \t") == "" }
		got = slices.DeleteFunc(got, blank)
		want = slices.DeleteFunc(want, blank)
		if r.Format() == eventfile.CSV && len(got) < len(want) { // titles
			want = want[len(want)-len(got):]
		}
		if len(text) < 1<<16 && !slices.Equal(got, want) {
			t.Errorf("rows %q, want %q", got, want)
		}
	})
}
