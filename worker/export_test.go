package worker

import (
	"time"

	"revoker/config"
)

// SlotPromise is how long a slot may stand still before it is told.
func SlotPromise(cfg config.Config) time.Duration { return slotTime(cfg) + heartbeatGrace }

// SlotsAt is what [Worker.Stuck] says of the slots alone at a later time.
func (w *Worker) SlotsAt(at time.Time) string { return w.slotsLate(at) }
