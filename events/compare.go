package events

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// streamFault says why an existing stream can't do its work: it does not store the subject. A mirror or a stream with
// sources names no subjects of its own.
func streamFault(have jetstream.StreamConfig, subject string) error {
	if have.Mirror != nil || len(have.Sources) > 0 {
		return nil
	}
	for _, stored := range have.Subjects {
		if config.SubjectMatches(stored, subject) || config.SubjectMatches(subject, stored) {
			return nil
		}
	}
	return fmt.Errorf("stream %s stores %s, but not %s: add the subject to the stream, or change the variable that names it",
		have.Name, strings.Join(have.Subjects, ", "), subject)
}

// streamDifferences lists where an existing stream is not what revoker would create, each with what follows from it.
func streamDifferences(have, want jetstream.StreamConfig) []string {
	var list []string
	differs := func(bad bool, format string, args ...any) {
		if bad {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	limited := have.MaxMsgs > 0 || have.MaxBytes > 0
	differs(have.MaxMsgsPerSubject > 0, "max messages per subject is %d: further events push out earlier ones", have.MaxMsgsPerSubject)
	differs(limited && have.Discard == jetstream.DiscardOld, "discard is old: when it is full, the oldest events are dropped")
	differs(have.Storage != want.Storage, "storage is memory: a restart of the server loses it")
	differs(have.Retention != want.Retention, "retention is %s, not %s", have.Retention, want.Retention)
	differs(have.MaxAge > 0 && have.MaxAge < want.MaxAge, "max age is %s, not %s: older messages are dropped", have.MaxAge, want.MaxAge)
	differs(have.Duplicates < want.Duplicates, "duplicate window is %s, not %s", have.Duplicates, want.Duplicates)
	differs(have.Replicas != want.Replicas, "it has %d replicas, not %d", have.Replicas, want.Replicas)
	return list
}

// consumerFaults lists what would break revoker's promise: settings by which the server drops events, hides them, or
// replaces the delays that revoker asks for. subjects are the stream's.
func consumerFaults(have, want jetstream.ConsumerConfig, subjects []string) []string {
	var list []string
	fault := func(bad bool, format string, args ...any) {
		if bad {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	fault(have.DeliverSubject != "", "it is a push consumer")
	fault(have.AckPolicy != jetstream.AckExplicitPolicy, "its ack policy is %s, which takes events as done that are not; want explicit",
		strings.ToLower(strings.TrimPrefix(have.AckPolicy.String(), "Ack")))
	fault(have.MaxDeliver > 0, "its max deliver is %d, after which an event is neither delivered nor dead-lettered; want unlimited", have.MaxDeliver)
	fault(len(have.BackOff) > 0, "it has a backoff, which distorts the delays of retries; want none")
	fault(have.DeliverPolicy != jetstream.DeliverAllPolicy, "its deliver policy is %s, which skips events; want all", have.DeliverPolicy)
	fault(have.InactiveThreshold > 0, "its inactive threshold is %s, after which the server deletes it with its position; want none", have.InactiveThreshold)
	fault(have.HeadersOnly, "it delivers headers only")
	fault(len(have.PriorityGroups) > 0, "it has priority groups, whose members alone are served")
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = append(slices.Clone(filters), have.FilterSubject)
	}
	if len(filters) == 0 {
		filters = subjects // no filter is every subject of the stream
	}
	fault(len(filters) != 1 || filters[0] != want.FilterSubject, "its filter is %s; want %s", strings.Join(filters, ", "), want.FilterSubject)
	return list
}

func consumerRefused(name string, faults []string) error {
	return fmt.Errorf("consumer %s would break the promise that no event is lost: %s. Change it with `nats consumer edit`, or delete it and let"+
		" revoker create it (events that are still in the stream are then revoked again, which is harmless), or name another with REVOKER_CONSUMER",
		name, strings.Join(faults, "; "))
}

// consumerDifferences lists where an existing consumer is not what revoker would create, but still sound.
func consumerDifferences(have, want jetstream.ConsumerConfig) []string {
	var list []string
	differs := func(bad bool, format string, args ...any) {
		if bad {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	differs(have.AckWait != want.AckWait, "ack wait is %s, not %s (REVOKER_ACK_WAIT)", have.AckWait, want.AckWait)
	differs(have.MaxAckPending != want.MaxAckPending,
		"max ack pending is %d, not %d (REVOKER_MAX_ACK_PENDING)", have.MaxAckPending, want.MaxAckPending)
	differs(have.ReplayPolicy != want.ReplayPolicy, "replay policy is original: events come no faster than they were published")
	differs(have.MemoryStorage, "it is kept in memory: a restart of the server forgets what was revoked")
	return list
}
