package testproc

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// Buffer is output that can be read at any time.
type Buffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// Tail is the last lines without those at debug.
func (b *Buffer) Tail() string {
	const most = 40
	lines := slices.DeleteFunc(strings.Split(b.String(), "\n"), func(line string) bool { return strings.Contains(line, `"level":"DEBUG"`) })
	return strings.Join(lines[max(len(lines)-most, 0):], "\n")
}

// String is all of the output so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
