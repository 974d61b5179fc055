// Package sessions finds out what became of one session: revoked, by its receipt; given up, by its dead letter; or still to be revoked,
// by its event. `revoker session` and the console use it; the worker does not.
//
// find.go is the way in and decides. receipt.go reads the receipt, letters.go and queue.go look for the session in dead letters and
// among the events that are not settled. Those two are scans, which are bounded: what they did not see they say.
package sessions
