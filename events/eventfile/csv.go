package eventfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"revoker/events"
)

// maxRecordLines is how many lines a quoted value may span. Without a bound, one stray quotation mark would swallow the rest
// of the file.
const maxRecordLines = 32

// csvReader reads records, each with encoding/csv, from lines that it puts together itself: so a record that is broken ends
// with its line, and its text is known.
type csvReader struct {
	lines  *lineReader
	comma  rune
	parser *csv.Reader
	feed   bytes.Buffer // one record, for parser

	queue  []line // lines that were read ahead
	raw    []byte
	column map[string]int // of each member of the event that has one
}

// newCSVReader finds the columns, from the first record and the name or number that the user gave.
func newCSVReader(lines *lineReader, sample []byte, chosen string) (*csvReader, error) {
	comma := separator(sample)
	if comma == 0 {
		comma = ','
	}
	r := &csvReader{lines: lines, comma: comma}
	r.reset()
	first, record, err := r.record()
	if err == io.EOF {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if first.err != nil {
		return nil, fmt.Errorf("is CSV whose first row can't be read: %w", first.err)
	}
	header, err := r.choose(record, chosen)
	if err == nil && !header {
		first.text = bytes.Clone(first.text)
		r.queue = append([]line{first}, r.queue...)
	}
	return r, err
}

// choose sets the columns. It reports whether the first record is titles. Its errors quote no cell, for it may be an ID.
func (r *csvReader) choose(first []string, chosen string) (header bool, err error) {
	r.column = map[string]int{}
	candidates := map[string]int{}
	for i, cell := range first {
		if member := title(cell); member != "" {
			if candidates[member]++; candidates[member] == 1 {
				r.column[member] = i
			}
			header = true
		}
	}
	if candidates["serviceId"] > 1 {
		return false, errors.New("is CSV with several columns titled serviceId: keep the one that is meant")
	}
	number, err := strconv.Atoi(chosen)
	switch {
	case chosen == "" && candidates["sessionId"] > 1:
		return false, errors.New("is CSV with several columns titled sessionId or sid: say which one with --column NUMBER")
	case chosen == "":
		if _, found := r.column["sessionId"]; !found && len(first) > 1 {
			return false, errors.New("is CSV, and no column is titled sessionId: name it with --column NAME or --column NUMBER, or use --format lines")
		} else if !found {
			r.column["sessionId"] = 0
		}
	case err == nil && number >= 1 && number <= len(first):
		r.column["sessionId"] = number - 1
	case err == nil:
		return false, fmt.Errorf("--column: the first row has %d columns", len(first))
	default:
		return true, r.chooseTitle(first, chosen)
	}
	return header, nil
}

func (r *csvReader) chooseTitle(first []string, chosen string) error {
	found := 0
	for i, cell := range first {
		if strings.EqualFold(strings.TrimSpace(cell), chosen) {
			r.column["sessionId"] = i
			found++
		}
	}
	switch found {
	case 0:
		return errors.New("--column: the first row has no column of this title")
	case 1:
		return nil
	}
	return errors.New("--column: several columns have this title; say which one by its number")
}

func (r *csvReader) reset() {
	r.feed.Reset()
	r.parser = csv.NewReader(&r.feed)
	r.parser.Comma, r.parser.FieldsPerRecord, r.parser.ReuseRecord = r.comma, -1, true
	r.parser.TrimLeadingSpace = r.comma != '\t'
}

func (r *csvReader) next() (Row, error) {
	first, record, err := r.record()
	if err != nil {
		return Row{}, err
	}
	row := Row{Line: first.number, Raw: first.text, Err: first.err}
	if row.Err == nil {
		row.Event, row.Err = r.event(record)
	}
	return row, nil
}

func (r *csvReader) event(record []string) (events.Event, error) {
	cell := func(member string) string {
		if i, found := r.column[member]; found && i < len(record) {
			return strings.Trim(record[i], " \t")
		}
		return ""
	}
	if need := r.column["sessionId"] + 1; need > len(record) {
		return events.Event{}, fmt.Errorf("the row has %d columns; the session ID is in column %d", len(record), need)
	}
	event := events.Event{SessionID: events.SessionID(cell("sessionId")), ServiceID: cell("serviceId"), Reason: cell("reason"), EndedAt: time.Now()}
	if text := cell("endedAt"); text != "" {
		event.EndedAt, _ = time.Parse(time.RFC3339, text) // a malformed one reads as absent, as in an event
	}
	return event, event.SessionID.Validate()
}

// record returns the next record that is not blank and what it is made from: its text, its first line's number, and in err
// why it can't be read.
func (r *csvReader) record() (line, []string, error) {
	first, err := r.line(0)
	if err != nil {
		return line{}, nil, err
	}
	r.raw = append(r.raw[:0], first.text...)
	whole := 1
	for quotes(r.raw)%2 != 0 && whole < maxRecordLines && len(r.raw) < maxLine {
		further, err := r.line(whole)
		if err == io.EOF {
			break
		}
		if err != nil {
			return line{}, nil, err
		}
		r.raw = append(append(r.raw, '\n'), further.text...)
		whole++
	}
	record, err := r.parse(r.raw)
	if err != nil && whole > 1 {
		whole = 1
		r.raw = r.raw[:len(first.text)]
		record, err = r.parse(r.raw)
	}
	r.queue = r.queue[:copy(r.queue, r.queue[whole:])]
	if first.err == nil {
		first.err = err
	}
	first.text = r.raw
	return first, record, nil
}

// line returns the line that comes i lines after the next, blank ones before the first record's left out. It stays queued.
func (r *csvReader) line(i int) (line, error) {
	if i == 0 {
		for len(r.queue) > 0 && len(trim(r.queue[0].text)) == 0 {
			r.queue = r.queue[:copy(r.queue, r.queue[1:])]
		}
	}
	for len(r.queue) <= i {
		if last := len(r.queue) - 1; last >= 0 { // its text is in the reader's buffer, which moves on
			r.queue[last].text = bytes.Clone(r.queue[last].text)
		}
		l, err := r.lines.next()
		if err != nil {
			return line{}, err
		}
		if i == 0 && len(trim(l.text)) == 0 {
			continue
		}
		r.queue = append(r.queue, l)
	}
	return r.queue[i], nil
}

func quotes(text []byte) int { return bytes.Count(text, []byte{'"'}) }

// parse gives one record to the parser. Where that fails its words are told without its count of lines.
func (r *csvReader) parse(text []byte) ([]string, error) {
	r.feed.Write(text)
	r.feed.WriteByte('\n')
	record, err := r.parser.Read()
	if err != nil {
		r.reset()
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("is not CSV: %w", err)
	}
	return record, nil
}
