package publish

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"revoker/cmd/revoker/exit"
	"revoker/events"
	"revoker/events/eventfile"
)

// standardInput is what an argument "-" names.
const standardInput = "-"

// bytesPerRow is a first guess at the total, until the first rows are read.
const bytesPerRow = 40

// inputs are files, opened one after the other.
type inputs struct {
	ctx      context.Context
	options  eventfile.Options
	names    []string
	stdin    io.Reader
	sessions []string

	at   int // of names
	file io.Closer
	rows rowReader
	size int64 // of all, in bytes; 0 where one is not a regular file
	done int64 // bytes of the inputs before this one
}

type rowReader interface {
	Next() (eventfile.Row, error)
}

// open checks all that can be checked before the first event is sent: that every file can be opened and has a format.
func (o *options) open(ctx context.Context, names []string, stdin io.Reader) (*inputs, error) {
	in := &inputs{ctx: ctx, options: o.input, names: names, stdin: stdin, sessions: o.sessions}
	switch {
	case len(o.sessions) > 0:
		in.names = []string{"--session"}
		return in, nil
	case len(names) == 0:
		in.names = []string{standardInput}
	}
	known := true
	for i, name := range in.names {
		size, err := in.check(i, name)
		if err != nil {
			return nil, err
		}
		in.size += size
		known = known && size > 0
	}
	if !known {
		in.size = 0
	}
	return in, nil
}

// check returns the size of a regular file, in bytes; 0 of anything else, which can be read only once.
func (in *inputs) check(i int, name string) (int64, error) {
	if name == standardInput {
		return regularSize(in.stdin), nil
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) { // the argument may be a session ID, so it is not quoted
		return 0, fmt.Errorf("argument %d is not an existing file; use --session for a single session ID", i+1)
	}
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, fmt.Errorf("%s is a folder", name)
	}
	if !info.Mode().IsRegular() {
		return 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := eventfile.NewReader(file, in.options); err != nil {
		return 0, unusable(name, err)
	}
	return max(info.Size(), 1), nil
}

// name is what the current input is called.
func (in *inputs) name() string { return title(in.names[min(in.at, len(in.names)-1)]) }

func title(name string) string {
	if name == standardInput {
		return "standard input"
	}
	return name
}

// next returns the next row of the current input, or io.EOF at its end.
func (in *inputs) next() (eventfile.Row, error) {
	if in.rows == nil {
		if err := in.begin(); err != nil {
			return eventfile.Row{}, err
		}
	}
	row, err := in.rows.Next()
	if err != nil && err != io.EOF {
		err = unreadable(in.name(), err)
	}
	return row, err
}

// unusable says why a file can't be begun: it can't be read, or its content is the wrong one.
func unusable(name string, err error) error {
	if cutOff(err) {
		return exit.Problem(unreadable(name, err))
	}
	return fmt.Errorf("%s %w", name, err)
}

func unreadable(name string, err error) error {
	if cutOff(err) {
		return fmt.Errorf("%s is cut off or damaged, get it again: %w", name, err)
	}
	return fmt.Errorf("reading %s: %w", name, err)
}

// cutOff reports whether compressed data ended early, or is not what was compressed.
func cutOff(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt)
}

// further goes on to the next input, if there is one.
func (in *inputs) further() bool {
	in.done = in.consumed()
	if in.file != nil {
		_ = in.file.Close()
	}
	in.rows, in.file = nil, nil
	in.at++
	return in.at < len(in.names)
}

func (in *inputs) begin() error {
	if len(in.sessions) > 0 {
		in.rows = &sessionRows{ids: in.sessions, options: in.options}
		return nil
	}
	from := in.stdin
	if name := in.names[in.at]; name != standardInput {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		from, in.file = file, file
	}
	reader, err := eventfile.NewReader(interruptible(in.ctx, from), in.options)
	if err != nil {
		return unusable(in.name(), err)
	}
	in.rows = reader
	return nil
}

// estimate returns how many rows there are in all, judged by the bytes that so many took; 0 if that can't be known.
func (in *inputs) estimate(rows int64) int64 {
	switch consumed := in.consumed(); {
	case len(in.sessions) > 0:
		return int64(len(in.sessions))
	case rows == 0 || consumed == 0:
		return in.size / bytesPerRow
	default:
		return int64(float64(rows) * float64(in.size) / float64(consumed))
	}
}

// consumed is how many bytes the rows so far took, of all inputs.
func (in *inputs) consumed() int64 {
	if reader, ok := in.rows.(*eventfile.Reader); ok {
		return in.done + reader.Consumed()
	}
	return in.done
}

// regularSize returns the size of a regular file, in bytes, and 0 of anything else.
func regularSize(from io.Reader) int64 {
	if file, ok := from.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return 0
}

// interruptible returns a reader whose Read ends when ctx does. What waits for a pipe or a terminal can't be woken: it is
// left behind, for the process is about to end.
func interruptible(ctx context.Context, from io.Reader) io.Reader {
	if regularSize(from) > 0 {
		return from
	}
	in, out := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{from}, make([]byte, 64<<10))
		out.CloseWithError(err) // nil is io.EOF
	}()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	return in
}

// sessionRows are the session IDs of the command line.
type sessionRows struct {
	ids     []string
	options eventfile.Options
	at      int
}

func (s *sessionRows) Next() (eventfile.Row, error) {
	if s.at == len(s.ids) {
		return eventfile.Row{}, io.EOF
	}
	id := s.ids[s.at]
	s.at++
	row := eventfile.Row{Line: int64(s.at), Raw: []byte(id), Event: eventfile.NewEvent(id, s.options)}
	row.Err = events.SessionID(id).Validate()
	return row, nil
}
