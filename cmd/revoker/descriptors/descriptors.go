// Package descriptors keeps file descriptors for health endpoints and NATS: each call in flight needs one for its connection.
package descriptors

import "fmt"

// Reserved are for all but calls: NATS, health endpoints, the console page and files. Under load a worker has some 15 of them.
const Reserved = 40

// Fit is how many calls in flight the limit on file descriptors leaves room for, at most concurrency and at least 1. If it is fewer,
// shortage says so.
func Fit(concurrency int) (fits int, shortage string) {
	limit, known := openFiles()
	return fit(concurrency, limit, known)
}

func fit(concurrency int, limit uint64, known bool) (fits int, shortage string) {
	if !known || limit >= uint64(concurrency)+Reserved {
		return concurrency, ""
	}
	fits = max(int(limit)-Reserved, 1)
	calls := fmt.Sprintf("%d calls", fits)
	if fits == 1 {
		calls = "one call"
	}
	return fits, fmt.Sprintf("this process may open %d files, which is enough for %s in flight, and REVOKER_CONCURRENCY is %d: "+
		"raise the limit (ulimit -n, LimitNOFILE=), or lower REVOKER_CONCURRENCY", limit, calls, concurrency)
}
