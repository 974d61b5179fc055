package config

import (
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// secretCheckInterval is between two looks at a secret's file.
	secretCheckInterval = time.Second
	// secretWait is how long [SecretFile.Follow] waits for a file.
	secretWait = time.Second
)

// SecretFile is a file that holds a secret, and that may be replaced while the program runs. Its owner has the lock.
type SecretFile struct {
	path string
	most int64 // bytes

	modified time.Time
	size     int64
	checked  time.Time
	look     chan secretContent // of the look that is not over yet; nil for none
}

// secretContent is what a file had, and its time and size.
type secretContent struct {
	content  []byte
	modified time.Time
	size     int64
	same     bool // the file is the one that was taken last; content is empty
	err      error
}

// NewSecretFile returns the file at path, whose content may have so many bytes at most. It is not read yet.
func NewSecretFile(path string, most int64) *SecretFile { return &SecretFile{path: path, most: most} }

// Path is where the file is.
func (f *SecretFile) Path() string { return f.path }

// Read hands the content to take, whose error it returns. What take refuses is read again at the next [SecretFile.Follow].
func (f *SecretFile) Read(take func(content []byte) error) error {
	return f.accept(readSecret(f.path, f.most), take)
}

func (f *SecretFile) accept(read secretContent, take func(content []byte) error) error {
	if read.err != nil || read.same {
		return read.err
	}
	if err := take(read.content); err != nil {
		return err
	}
	f.modified, f.size = read.modified, read.size
	return nil
}

func readSecret(path string, most int64) secretContent {
	// One open file gives the time and the content: a replacement in between can't mix them.
	file, err := os.Open(path)
	if err != nil {
		return secretContent{err: err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return secretContent{err: err}
	}
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("the file is too large: it may have %d bytes", most)
	}
	return secretContent{content: content, modified: info.ModTime(), size: info.Size(), err: err}
}

// Follow reads the file again if it is another one, and looks at it once a second at most. A file that can't be read or taken for
// the moment, as while it is being replaced, changes nothing. Nor does one that does not answer: a file system that is away, or a
// pipe, can block a read for ever. Follow waits for it once, for a second, and takes it later if it comes.
func (f *SecretFile) Follow(now time.Time, take func(content []byte) error) {
	if f.look != nil {
		select {
		case read := <-f.look:
			f.look = nil
			_ = f.accept(read, take)
		default:
		}
		return
	}
	if now.Sub(f.checked) < secretCheckInterval {
		return
	}
	f.checked = now
	look := make(chan secretContent, 1)
	go func(path string, most int64, modified time.Time, size int64) {
		info, err := os.Stat(path)
		if err != nil || info.ModTime().Equal(modified) && info.Size() == size {
			look <- secretContent{same: true}
			return
		}
		look <- readSecret(path, most)
	}(f.path, f.most, f.modified, f.size)
	timer := time.NewTimer(secretWait)
	defer timer.Stop()
	select {
	case read := <-look:
		_ = f.accept(read, take)
	case <-timer.C:
		f.look = look
	}
}

// Forget makes the next Follow read the file, whatever its time says.
func (f *SecretFile) Forget() { f.checked, f.modified = time.Time{}, time.Time{} }
