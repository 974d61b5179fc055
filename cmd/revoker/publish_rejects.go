package main

import (
	"encoding/json"
	"fmt"
	"os"
	"unicode/utf8"

	"revoker/events/eventfile"
)

// rejects is the file of the rows that are no events. A nil one keeps nothing.
type rejects struct{ file *os.File }

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
	return &rejects{file}, nil
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
	if err := json.NewEncoder(r.file).Encode(reject); err != nil {
		return fmt.Errorf("--rejects: %w", err)
	}
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
