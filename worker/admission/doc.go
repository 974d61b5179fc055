// Package admission decides how many calls of the logout API may be made, and when: free slots, the rate limit, the circuit
// breaker with its second opinions, the services that are held back, and how slots come back after an outage.
//
// [Admission] has the lock and the clock. [Breaker] is a pure state machine, whose table test is its documentation.
package admission
