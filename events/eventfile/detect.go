package eventfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const bom = "\ufeff"

func hasBOM(sample []byte) bool { return bytes.HasPrefix(sample, []byte(bom)) }

// foreign says what to do about content that is easily taken for a file of session IDs, and is none.
func foreign(sample []byte) error {
	for _, f := range []struct{ magic, text string }{
		{"\xff\xfe", "is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`"},
		{"\xfe\xff", "is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`"},
		{"PK\x03\x04", "is a ZIP archive or a spreadsheet; unpack it, or save it as CSV"},
		{"\x28\xb5\x2f\xfd", "is compressed by zstd; publish reads gzip, or `zstdcat FILE | revoker publish`"},
		{"\xfd7zXZ\x00", "is compressed by xz; publish reads gzip, or `xzcat FILE | revoker publish`"},
		{"BZh9", "is compressed by bzip2; publish reads gzip, or `bzcat FILE | revoker publish`"},
	} {
		if bytes.HasPrefix(sample, []byte(f.magic)) {
			return errors.New(f.text)
		}
	}
	if text := bytes.TrimLeft(sample, " \t\r\n"); len(text) > 1 && text[0] == '[' && strings.IndexByte(" \t\r\n{\"", text[1]) >= 0 {
		return errors.New("is a JSON array; publish reads one object a line: `jq -c '.[]' FILE | revoker publish`")
	}
	if bytes.IndexByte(sample, 0) >= 0 {
		return errors.New("is binary, not text")
	}
	return nil
}

// detect recognises a format from a file's first bytes. A file is CSV if its first line has a title that is known, or half
// of its first lines at least are separated: to take a table for session IDs would be worse than to ask.
func detect(sample []byte, column bool) Format {
	first := bytes.TrimLeft(sample, " \t\r\n")
	switch {
	case len(first) > 1 && first[0] == '{' && strings.IndexByte(" \t\r\n\"}", first[1]) >= 0: // a GUID may be in braces
		return JSON
	case column || bytes.HasPrefix(first, []byte(`"`)) || separator(sample) != 0:
		return CSV
	}
	line, _, _ := bytes.Cut(first, []byte("\n"))
	if isSessionTitle(string(line)) {
		return CSV
	}
	return Lines
}

// detectLines is how many lines are looked at.
const detectLines = 20

// separator returns what separates the columns of a sample, or 0 if it has one column alone.
func separator(sample []byte) rune {
	lines := firstLines(sample)
	for _, candidate := range ",;\t" {
		with := 0
		for i, line := range lines {
			cells := strings.Split(line, string(candidate))
			if len(cells) == 1 {
				continue
			}
			with++
			if i == 0 && slices.ContainsFunc(cells, isSessionTitle) {
				return candidate
			}
		}
		if 2*with >= len(lines) && with > 0 {
			return candidate
		}
	}
	return 0
}

// firstLines returns the first lines of a sample that are not blank, less one that the sample cuts off.
func firstLines(sample []byte) []string {
	if end := bytes.LastIndexByte(sample, '\n'); end >= 0 {
		sample = sample[:end]
	}
	var lines []string
	for line := range strings.Lines(string(sample)) {
		if line = strings.TrimSpace(line); line != "" && len(lines) < detectLines {
			lines = append(lines, line)
		}
	}
	return lines
}

// completeLine reports whether the sample has a whole line that is not blank.
func completeLine(sample []byte) bool {
	return bytes.IndexByte(bytes.TrimLeft(sample, " \t\r\n"), '\n') >= 0
}

// titles are the column titles that are recognised, without regard to case and to what is neither letter nor digit.
var titles = map[string]string{
	"sessionid": "sessionId", "sid": "sessionId", "serviceid": "serviceId", "endedat": "endedAt", "reason": "reason",
}

func title(cell string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(cell))
	return titles[plain]
}

func isSessionTitle(cell string) bool { return title(cell) == "sessionId" }

// ParseFormat reads a format's name.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case Detect, Lines, CSV, JSON:
		return f, nil
	}
	return "", fmt.Errorf("must be %s, %s, %s or %s", Detect, Lines, CSV, JSON)
}
