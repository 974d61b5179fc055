package config

import (
	"fmt"
	"io"
	"os"
	"time"
)

// secretCheckInterval is between two looks at a secret's file.
const secretCheckInterval = time.Second

// SecretFile is a file that holds a secret, and that may be replaced while the program runs. Its owner has the lock.
type SecretFile struct {
	path string
	most int64 // bytes

	modified time.Time
	size     int64
	checked  time.Time
}

// NewSecretFile returns the file at path, whose content may have so many bytes at most. It is not read yet.
func NewSecretFile(path string, most int64) *SecretFile { return &SecretFile{path: path, most: most} }

// Path is where the file is.
func (f *SecretFile) Path() string { return f.path }

// Read hands the content to take, whose error it returns. What take refuses is read again at the next [SecretFile.Follow].
func (f *SecretFile) Read(take func(content []byte) error) error {
	// One open file gives the time and the content: a replacement in between can't mix them.
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(file, f.most+1))
	if err != nil {
		return err
	}
	if int64(len(content)) > f.most {
		return fmt.Errorf("the file is too large: it may have %d bytes", f.most)
	}
	if err := take(content); err != nil {
		return err
	}
	f.modified, f.size = info.ModTime(), info.Size()
	return nil
}

// Follow reads the file again if it is another one, and looks at it once a second at most. A file that can't be read or taken for
// the moment, as while it is being replaced, changes nothing.
func (f *SecretFile) Follow(now time.Time, take func(content []byte) error) {
	if now.Sub(f.checked) < secretCheckInterval {
		return
	}
	f.checked = now
	if info, err := os.Stat(f.path); err == nil && (!info.ModTime().Equal(f.modified) || info.Size() != f.size) {
		_ = f.Read(take)
	}
}

// Forget makes the next Follow read the file, whatever its time says.
func (f *SecretFile) Forget() { f.checked, f.modified = time.Time{}, time.Time{} }
