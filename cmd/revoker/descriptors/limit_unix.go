//go:build unix

package descriptors

import "syscall"

// openFiles is the limit that holds now. The Go runtime has raised it as far as it may.
func openFiles() (limit uint64, known bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true
}
