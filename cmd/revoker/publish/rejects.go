package publish

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"unicode/utf8"

	"revoker/events/eventfile"
)

// rejects is the file of the rows that are not events. A nil one keeps nothing.
type rejects struct {
	file  *os.File
	seed  maphash.Seed
	known map[uint64]bool // hashes of the lines that the file has
	torn  bool            // its last line has no end, as after a kill
}

// openRejects opens the file so that what it holds is kept; it is its owner's alone, for it may hold session IDs.
func openRejects(name string, inputs []string) (*rejects, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--rejects: %w", err)
	}
	info, err := file.Stat()
	for _, input := range inputs {
		if other, otherErr := os.Stat(input); err == nil && otherErr == nil && os.SameFile(info, other) {
			file.Close()
			return nil, fmt.Errorf("--rejects: %s is an input too", name)
		}
	}
	r := &rejects{file: file, seed: maphash.MakeSeed(), known: map[uint64]bool{}}
	if err == nil && info.Mode().IsRegular() {
		err = r.learn(name)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("--rejects: %w", err)
	}
	return r, nil
}

// learn reads which rows the file has from an earlier run, so that running publish again does not add them again. It needs
// some bytes a line.
func (r *rejects) learn(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	reader := bufio.NewReader(file)
	var line maphash.Hash
	line.SetSeed(r.seed)
	for {
		part, err := reader.ReadSlice('\n')
		_, _ = line.Write(part) // never fails
		switch {
		case err == nil:
			r.known[line.Sum64()] = true
			line.Reset()
			r.torn = false
		case err == io.EOF:
			r.torn = r.torn || len(part) > 0
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			r.torn = true
		default:
			return err
		}
	}
}

// write has the row in the file when it returns, so that no way to go on passes over it.
func (r *rejects) write(input string, row eventfile.Row, reason error) error {
	if r == nil {
		return nil
	}
	reject := struct {
		Input     string `json:"input"`
		Line      int64  `json:"line"`
		Reason    string `json:"reason"`
		Row       string `json:"row,omitempty"`
		RowBase64 []byte `json:"rowBase64,omitempty"`
	}{Input: input, Line: row.Line, Reason: reason.Error()}
	if utf8.Valid(row.Raw) {
		reject.Row = string(row.Raw)
	} else {
		reject.RowBase64 = row.Raw
	}
	line, err := json.Marshal(reject)
	if err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	return r.append(append(line, '\n'))
}

// append writes a line that the file does not have yet.
func (r *rejects) append(line []byte) error {
	hash := maphash.Bytes(r.seed, line)
	if r.known[hash] {
		return nil
	}
	whole := line
	if r.torn {
		whole = append([]byte{'\n'}, line...)
	}
	if _, err := r.file.Write(whole); err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	r.known[hash], r.torn = true, false
	return nil
}

func (r *rejects) close() error {
	if r == nil {
		return nil
	}
	if err := r.file.Close(); err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
	return nil
}
