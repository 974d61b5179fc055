// Package admin is what operators do with the queue as a whole: check.go looks whether NATS has all that a worker needs, status.go
// says how far the workers are, with reasons.go for the dead letters and workers.go for asking the workers themselves, and
// pause.go stops delivery. Commands and the console use it; the worker does not.
package admin
