package events

// Deafen lets the consumer not hear of deletions.
func Deafen(c *Consumer) { c.deletions.Close() }

// Ended reports whether the consumer knows that it was deleted.
func Ended(c *Consumer) bool { return c.incarnation.Ended() }
