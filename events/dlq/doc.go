// Package dlq reads, selects, replays and deletes the dead letters that package events has written. Operators' commands and the
// console use it; the worker does not.
//
// letters.go is the way in, with scan.go for reading many and stored.go for what one letter says. selection.go chooses letters and
// groups.go counts them. replay.go publishes an event again, and sweep.go does that, or anything else, to many letters.
package dlq
