package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

var errDirectory = errors.New("it is a directory")

// readable returns why the file that a variable names can't be read, and nil if it can. It quotes a path, but not what may be
// the secret itself, put by mistake into the variable for its file.
func readable(variable, path string) error {
	if path == "" {
		return nil
	}
	err := openFile(path)
	switch {
	case err == nil:
		return nil
	case isPath(path, err):
		return fmt.Errorf("%s: can't read %q: %w", variable, path, err)
	}
	return fmt.Errorf("%s: can't read the file: %w; the path is not shown, for a value that does not begin with / or . may be the secret itself", variable, err)
}

func openFile(path string) error {
	file, err := os.Open(path)
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err // without the path, which the caller quotes
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return err
	} else if info.IsDir() {
		return errDirectory
	}
	return nil
}

// isPath reports whether a value, which can't be read for the reason err, names a place in the file system.
func isPath(value string, err error) bool {
	return strings.HasPrefix(value, "/") || strings.HasPrefix(value, ".") ||
		errors.Is(err, fs.ErrPermission) || errors.Is(err, errDirectory)
}
