package conn

// Unconfirm ages the server's last confirmation of the consumer beyond what is relied on.
func Unconfirm(i *Incarnation) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = i.asked.Add(-confirmedFor)
}
