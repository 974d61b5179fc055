package conn

import "time"

// A machine that pauses for seconds must not let an acknowledgement go without the server's confirmation.
func init() { confirmTimeout = time.Minute }

// Unconfirm ages the server's last confirmation of the consumer beyond what is relied on.
func Unconfirm(i *Incarnation) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = i.asked.Add(-confirmedFor)
}
