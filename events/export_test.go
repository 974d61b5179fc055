package events

import "time"

// Aged returns the letter as if it had been read so much earlier.
func Aged(l StoredLetter, by time.Duration) StoredLetter {
	l.read = l.read.Add(-by)
	return l
}

// Deafen lets the consumer not hear of deletions.
func Deafen(c *Consumer) { c.deletions.close() }

// Unconfirm ages the server's last word on the consumer beyond what is relied on.
func Unconfirm(c *Consumer) {
	c.incarnation.mu.Lock()
	defer c.incarnation.mu.Unlock()
	c.incarnation.asked = c.incarnation.asked.Add(-confirmedFor)
}

// Ended reports whether the consumer knows that it was deleted.
func Ended(c *Consumer) bool { return c.incarnation.ended() }
