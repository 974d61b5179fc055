package eventfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds the memory that one row takes, in bytes. No event is nearly as long.
const maxLine = 1 << 20

// errLongLine's line is cut off after maxLine bytes.
var errLongLine = fmt.Errorf("the line is longer than %d bytes", maxLine)

type line struct {
	number int64
	text   []byte // without the line end
	err    error
}

// lineReader splits its input into lines, which end with LF or CR LF.
type lineReader struct {
	in     *bufio.Reader
	number int64
	long   []byte // holds a line that does not fit into in's buffer
}

// next returns the next line, good until the next call, or io.EOF after the last.
func (r *lineReader) next() (line, error) {
	text, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return r.nextLong(text)
	}
	if err != nil && (err != io.EOF || len(text) == 0) {
		return line{}, err
	}
	r.number++
	return line{number: r.number, text: withoutEnd(text)}, nil
}

func (r *lineReader) nextLong(text []byte) (line, error) {
	r.long = append(r.long[:0], text...)
	var tooLong error
	for err := error(bufio.ErrBufferFull); errors.Is(err, bufio.ErrBufferFull); {
		text, err = r.in.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return line{}, err
		}
		r.long = append(r.long, text[:min(len(text), maxLine-len(r.long))]...)
		if len(r.long) == maxLine {
			tooLong = errLongLine
		}
	}
	r.number++
	return line{number: r.number, text: withoutEnd(r.long), err: tooLong}, nil
}

func withoutEnd(text []byte) []byte {
	text = bytes.TrimSuffix(text, []byte{'\n'})
	return bytes.TrimSuffix(text, []byte{'\r'})
}

// trim drops the white space around a field, which is never meant.
func trim(text []byte) []byte { return bytes.Trim(text, " \t") }
