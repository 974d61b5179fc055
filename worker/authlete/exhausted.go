package authlete

import (
	"errors"
	"syscall"
)

// Exhausted reports whether a call failed because this machine could not make it: it has no file descriptors, ports, buffers or
// memory left. That says nothing about the API, and fewer calls at a time end it.
func Exhausted(err error) bool {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, shortage) {
			return true
		}
	}
	return false
}
