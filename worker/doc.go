// Package worker takes session.ended events from JetStream, calls the logout API for each, and settles each delivery by the
// outcome.
//
// Read it in the order of an event's way: worker.go pulls, process.go takes one delivery from its decoding to its settlement,
// classify.go decides the outcome, learn.go says what the outcome tells about the API, delay.go for how long what is handed back stays
// away, settlement.go reports it. Beside that way stand the rooms admission (how many calls may be made, and when) and retry (when an
// event that is handed back is due), exhaust.go (when a failure is the event's own), opinion.go and bypass.go (calls for events that
// were not delivered). README.md has the design and its reasons.
package worker
