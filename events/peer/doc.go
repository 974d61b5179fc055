// Package peer is what a worker tells of itself over NATS: its state, its last minutes, and what it knows of one event. Console pages of
// other workers ask for it, and `revoker status`, `revoker session` and `revoker resume`.
//
//   - state.go and history.go: what is told, and what each member means
//   - answer.go: the requests, and who answers them
package peer
