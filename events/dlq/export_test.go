package dlq

import "time"

// Aged returns the letter as if it had been read so much earlier.
func Aged(l StoredLetter, by time.Duration) StoredLetter {
	l.read = l.read.Add(-by)
	return l
}
