package events

import "time"

// Patient lets the publisher wait for a confirmation for longer than a machine may pause. It is called before the first event.
func Patient(b *BulkPublisher) { b.ackWait = time.Minute }

// Deafen lets the consumer not hear of deletions.
func Deafen(c *Consumer) { c.deletions.Close() }

// Ended reports whether the consumer knows that it was deleted.
func Ended(c *Consumer) bool { return c.incarnation.Ended() }
