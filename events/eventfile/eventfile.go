// Package eventfile reads session.ended events from files as people have them: one session ID a line, CSV, or JSON lines,
// each also compressed by gzip. The format is recognised by content. It needs as much memory as the longest row.
package eventfile

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"revoker/events"
)

// Format is how a file's rows are written.
type Format string

// The formats.
const (
	Detect Format = "auto"
	// Lines is one session ID a line, less the white space around it.
	Lines Format = "lines"
	// CSV is comma-, semicolon- or tab-separated values.
	CSV Format = "csv"
	// JSON is one event a line, as [events.Decode] reads it.
	JSON Format = "json"
)

// Options say how to read a file.
type Options struct {
	// Format is one of the constants; empty is Detect.
	Format Format
	// Column is the name or the number, from 1, of the CSV column that holds the session IDs.
	Column string
	// ServiceID and Reason are those of events whose row has none.
	ServiceID, Reason string
}

// Row is one row of a file.
type Row struct {
	// Line is the number, from 1, of the line on which the row begins.
	Line int64
	// Raw is the row as it stands in the file, without its line end. It is good until the next call of Next.
	Raw []byte
	// Event is what the row says, if Err is nil.
	Event events.Event
	// Err says why the row is not an event. It quotes nothing of the row.
	Err error
}

// Reader reads rows.
type Reader struct {
	format  Format
	options Options
	lines   *lineReader
	csv     *csvReader // of CSV alone

	source   *counter      // the input as it is
	packed   *bufio.Reader // of gzip alone: reads source
	unpacked *counter      // of gzip alone: what comes out of it
}

// counter counts the bytes that are read.
type counter struct {
	in io.Reader
	n  int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err
}

// sampleSize is how much of a file is looked at to recognise its format, in bytes.
const sampleSize = 64 << 10

// NewReader recognises the format of in from its first bytes and returns a reader of its rows. The error is one of the
// user's: the content is nothing that can be read, or the options don't fit it.
func NewReader(in io.Reader, options Options) (*Reader, error) {
	r := &Reader{format: options.Format, options: options, source: &counter{in: in}}
	buffered := bufio.NewReaderSize(r.source, sampleSize)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("reading gzip: %w", err)
		}
		r.packed, r.unpacked = buffered, &counter{in: unzipped}
		buffered = bufio.NewReaderSize(r.unpacked, sampleSize)
	}
	sample, err := peek(buffered)
	if err != nil {
		return nil, err
	}
	if err := foreign(sample); err != nil {
		return nil, err
	}
	if hasBOM(sample) {
		_, _ = buffered.Discard(len(bom))
		sample = sample[len(bom):]
	}
	r.lines = &lineReader{in: buffered}
	if r.format == Detect || r.format == "" {
		r.format = detect(sample, options.Column != "")
	}
	if r.format == CSV {
		r.csv, err = newCSVReader(r.lines, sample, options.Column)
	} else if options.Column != "" {
		err = errors.New("--column is for CSV; this has one session ID or one JSON object a line")
	}
	return r, err
}

// peek returns what a first read brings, and more until that has a whole line.
func peek(in *bufio.Reader) ([]byte, error) {
	for n := 1; ; n = in.Buffered() + 1 {
		_, err := in.Peek(min(n, sampleSize))
		sample, _ := in.Peek(in.Buffered())
		switch {
		case err == io.EOF, len(sample) == sampleSize, completeLine(sample):
			return sample, nil
		case err != nil:
			return nil, err
		}
	}
}

// Consumed is about how many bytes of the input, compressed or not, the rows so far took. What was only read ahead does not
// count.
func (r *Reader) Consumed() int64 {
	ahead := int64(r.lines.in.Buffered())
	if r.packed == nil {
		return r.source.n - ahead
	}
	unpacked := float64(r.source.n - int64(r.packed.Buffered()))
	return int64(unpacked * float64(r.unpacked.n-ahead) / float64(max(r.unpacked.n, 1)))
}

// Format returns the format that is read.
func (r *Reader) Format() Format { return r.format }

// Next returns the next row that is not blank, or io.EOF after the last.
func (r *Reader) Next() (Row, error) {
	if r.csv != nil {
		row, err := r.csv.next()
		return r.complete(row), err
	}
	for {
		line, err := r.lines.next()
		if err != nil {
			return Row{}, err
		}
		text := trim(line.text)
		if len(text) == 0 {
			continue
		}
		row := Row{Line: line.number, Raw: line.text, Err: line.err}
		switch {
		case row.Err != nil:
		case r.format == JSON:
			row.Event, row.Err = events.Decode(nil, text)
		default:
			row.Event = NewEvent(string(text), r.options)
			row.Err = row.Event.SessionID.Validate()
		}
		return r.complete(row), nil
	}
}

// NewEvent returns the event that a session ID alone makes: the session ended now.
func NewEvent(sessionID string, options Options) events.Event {
	return events.Event{
		SessionID: events.SessionID(sessionID), ServiceID: options.ServiceID, EndedAt: time.Now(), Reason: options.Reason,
	}
}

// complete gives the event what its row leaves open.
func (r *Reader) complete(row Row) Row {
	if row.Event.ServiceID == "" {
		row.Event.ServiceID = r.options.ServiceID
	}
	if row.Event.Reason == "" {
		row.Event.Reason = r.options.Reason
	}
	return row
}
