// Package admission decides how many calls of the logout API may be made, and when: which lane's event is next, the adaptive limit on
// calls in flight, the learned rate, the circuit breaker with its second opinions, and the services that are held back.
//
// [Admission] has the lock and the clock. [Breaker], [Limit] and [Rate] are pure state machines: the table test of the first, and the
// simulations of the others, are their documentation.
package admission
