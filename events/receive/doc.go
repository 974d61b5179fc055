// Package receive is the HTTP side of `revoker receive`: it takes signals that a session ended, and publishes an event for each. It
// answers success only once JetStream has confirmed the event. Its files, in a reader's order:
//
//   - server.go: the listeners, and their life until the drain
//   - events.go: POST /events, for senders with the bearer token of bearer.go
//   - logout.go: POST /backchannel-logout, for OpenID providers
//   - answer.go: what all answers have in common; store.go: publishing, and what to answer if that fails
//   - metrics.go, refused.go, health.go: what operators see
//
// The rooms in it: logouttoken verifies one logout token, and does nothing else; issuer holds the keys of an OpenID provider.
package receive
