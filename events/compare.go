package events

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
)

// streamStores reports whether a stream stores the events of a subject. A mirror or a stream with sources names no subjects of
// its own.
func streamStores(have jetstream.StreamConfig, subject string) bool {
	return have.Mirror != nil || len(have.Sources) > 0 || slices.ContainsFunc(have.Subjects, func(stored string) bool {
		return config.SubjectMatches(stored, subject) || config.SubjectMatches(subject, stored)
	})
}

// streamFault says why an existing stream cannot do its work: it does not store the subject.
func streamFault(have jetstream.StreamConfig, subject string) error {
	if streamStores(have, subject) {
		return nil
	}
	return fmt.Errorf("stream %s stores %s, but not %s: add the subject to the stream, as `revoker setup` does, or change the variable"+
		" that names it", have.Name, strings.Join(have.Subjects, ", "), subject)
}

// compareStream lists where an existing stream differs from what revoker would create. Limits that are more generous than
// revoker's own, and more replicas, do not count. variable is the variable that names the stream.
func compareStream(have, want jetstream.StreamConfig, variable string) differences[jetstream.StreamConfig] {
	type stream = jetstream.StreamConfig
	elsewhere := replaceStream(have, variable)
	var list differences[stream]
	compareSubjects(&list, have, want)
	if want.Discard == jetstream.DiscardOld {
		compareReceipts(&list, have, want)
	} else {
		compareLimits(&list, have)
	}
	list.changeable(have.MaxAge > 0 && (want.MaxAge == 0 || have.MaxAge < want.MaxAge),
		differs("max age", have.MaxAge, maxAge(want.MaxAge), "older messages are dropped"),
		func(c *stream) { c.MaxAge = want.MaxAge })
	list.changeable(have.Duplicates < want.Duplicates,
		differs("duplicate window", have.Duplicates, want.Duplicates, ""),
		func(c *stream) { c.Duplicates = want.Duplicates })
	list.changeable(have.Replicas < want.Replicas, differs("replicas", have.Replicas, want.Replicas, ""),
		func(c *stream) { c.Replicas = want.Replicas })
	list.changeable(have.NoAck,
		differs("publish acknowledgements", "off", "on", "publishers are not told whether a message was stored"),
		func(c *stream) { c.NoAck = false })
	list.unchangeable(have.Storage != want.Storage,
		differs("storage", storage(have.Storage), storage(want.Storage), "a restart of the server loses what is in memory"), elsewhere)
	retention := differs("retention", retentionName(have.Retention), retentionName(want.Retention), "")
	keep := elsewhere
	if variable == eventVariable {
		keep = "set REVOKER_RETENTION=" + retentionName(have.Retention) + " to keep it as it is. Otherwise: " + elsewhere
	}
	switch {
	case have.Retention == jetstream.InterestPolicy && want.Retention == jetstream.LimitsPolicy:
		list.changeable(true, retention, func(c *stream) { c.Retention = want.Retention })
	case have.Retention == jetstream.LimitsPolicy && want.Retention == jetstream.InterestPolicy:
		retention.Why = "changed in place, the server would delete what all consumers are done with"
		list.unchangeable(true, retention, keep)
	default:
		list.unchangeable(have.Retention != want.Retention, retention, keep)
	}
	return list
}

// compareLimits looks for limits that drop messages of a stream whose messages are still needed.
func compareLimits(list *differences[jetstream.StreamConfig], have jetstream.StreamConfig) {
	limited := have.MaxMsgs > 0 || have.MaxBytes > 0
	list.changeable(have.MaxMsgsPerSubject > 0,
		differs("max messages per subject", have.MaxMsgsPerSubject, "unlimited", "further events push out earlier ones"),
		func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.DiscardNewPerSubject = -1, false })
	list.changeable(limited && have.Discard == jetstream.DiscardOld,
		differs("discard", "old", "new", "when it is full, the oldest events are dropped"),
		func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew })
}

// compareReceipts looks for limits that would make the receipt stream refuse receipts, or keep fewer than wanted.
func compareReceipts(list *differences[jetstream.StreamConfig], have, want jetstream.StreamConfig) {
	list.changeable(have.Discard == jetstream.DiscardNew,
		differs("discard", "new", "old", "a full one refuses receipts, and then no event is acknowledged"),
		func(c *jetstream.StreamConfig) { c.Discard, c.DiscardNewPerSubject = jetstream.DiscardOld, false })
	list.changeable(have.MaxMsgs > 0 && have.MaxMsgs < want.MaxMsgs,
		differs("max messages", have.MaxMsgs, fmt.Sprintf("%d (REVOKER_RECEIPT_MAX_COUNT)", want.MaxMsgs), "older receipts are dropped"),
		func(c *jetstream.StreamConfig) { c.MaxMsgs = want.MaxMsgs })
	list.unchangeable(have.MaxMsgsPerSubject != 1,
		differs("max messages per subject", limit(have.MaxMsgsPerSubject), 1, "a session may have several receipts, of which the last counts"),
		fmt.Sprintf("`nats stream edit %s --max-msgs-per-subject=1` drops all but the last", have.Name))
}

// limit names a stream's limit, of which -1 and 0 are none.
func limit(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// compareSubjects asks for the subjects that the stream does not store. Without the first there are no events; without the second
// there is no bulk lane.
func compareSubjects(list *differences[jetstream.StreamConfig], have, want jetstream.StreamConfig) {
	missing := slices.DeleteFunc(slices.Clone(want.Subjects), func(subject string) bool { return streamStores(have, subject) })
	if len(missing) == 0 {
		return
	}
	subjects := append(slices.Clone(have.Subjects), missing...)
	d := differs("subjects", strings.Join(have.Subjects, ", "), strings.Join(subjects, ", "), "it does not store "+strings.Join(missing, ", "))
	d.Fault = missing[0] == want.Subjects[0]
	list.changeable(true, d, func(c *jetstream.StreamConfig) { c.Subjects = subjects })
}

// maxAge names a stream's maximum age, of which 0 is none.
func maxAge(age time.Duration) string {
	if age == 0 {
		return "unlimited"
	}
	return age.String()
}

func storage(s jetstream.StorageType) string { return strings.ToLower(s.String()) }

func retentionName(r jetstream.RetentionPolicy) string { return strings.ToLower(r.String()) }

// compareConsumer lists where an existing consumer differs from what revoker would create. Faults are settings by which the server
// drops events, hides them, or replaces the delays that revoker asks for.
func compareConsumer(have, want jetstream.ConsumerConfig, stream jetstream.StreamConfig, lane config.Lane) differences[jetstream.ConsumerConfig] {
	type consumer = jetstream.ConsumerConfig
	anew := replaceConsumer(stream, want.Durable, lane)
	var list differences[consumer]
	list.unchangeable(have.DeliverSubject != "", pushConsumer(), anew)
	list.unchangeable(have.AckPolicy != jetstream.AckExplicitPolicy,
		breaks("ack policy", ackPolicy(have.AckPolicy), "explicit", "it takes events as done that are not"), anew)
	list.unchangeable(have.DeliverPolicy != jetstream.DeliverAllPolicy,
		breaks("deliver policy", have.DeliverPolicy, "all", "it skips events"), anew)
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = append(slices.Clone(filters), have.FilterSubject)
	}
	if len(filters) == 0 {
		filters = stream.Subjects // no filter is every subject of the stream
	}
	// The server would change it, and skip what the new filter adds before the consumer's position.
	list.unchangeable(len(filters) != 1 || filters[0] != want.FilterSubject,
		breaks("filter", strings.Join(filters, ", "), want.FilterSubject, "it takes other events, or misses some"), anew)
	list.unchangeable(len(have.PriorityGroups) > 0,
		breaks("priority groups", strings.Join(have.PriorityGroups, ", "), "none", "only their members are served"), anew)
	list.changeable(have.MaxDeliver > 0,
		breaks("max deliver", have.MaxDeliver, "unlimited", "after that an event is neither delivered nor dead-lettered"),
		func(c *consumer) { c.MaxDeliver = -1 })
	list.changeable(len(have.BackOff) > 0,
		breaks("backoff", durations(have.BackOff), "none", "it distorts the delays of retries"),
		func(c *consumer) { c.BackOff, c.AckWait = nil, want.AckWait })
	list.changeable(have.InactiveThreshold > 0,
		breaks("inactive threshold", have.InactiveThreshold, "none", "after it the server deletes the consumer with its position"),
		func(c *consumer) { c.InactiveThreshold = 0 })
	list.changeable(have.HeadersOnly,
		breaks("delivery", "headers only", "whole messages", "an event without its payload names no session"),
		func(c *consumer) { c.HeadersOnly = false })
	list.changeable(have.AckWait != want.AckWait && len(have.BackOff) == 0,
		differs("ack wait", have.AckWait, want.AckWait.String()+" (REVOKER_ACK_WAIT)", ""),
		func(c *consumer) { c.AckWait = want.AckWait })
	list.changeable(have.MaxAckPending != want.MaxAckPending,
		differs("max ack pending", have.MaxAckPending, fmt.Sprintf("%d (REVOKER_MAX_ACK_PENDING)", want.MaxAckPending), ""),
		func(c *consumer) { c.MaxAckPending = want.MaxAckPending })
	list.unchangeable(have.ReplayPolicy != want.ReplayPolicy,
		differs("replay policy", "original", "instant", "events come no faster than they were published"), anew)
	list.unchangeable(have.MemoryStorage,
		differs("storage", "memory", "file", "a restart of the server forgets what was revoked"), anew)
	return list
}

func pushConsumer() Difference {
	return breaks("kind", "push consumer", "pull consumer", "the server sends its events whether somebody has time for them or not")
}

func ackPolicy(p jetstream.AckPolicy) string {
	return strings.ToLower(strings.TrimPrefix(p.String(), "Ack"))
}

func durations(list []time.Duration) string {
	var texts []string
	for _, d := range list {
		texts = append(texts, d.String())
	}
	return strings.Join(texts, ", ")
}

func consumerRefused(name string, faults []Difference) error {
	return fmt.Errorf("consumer %s would break the promise that no event is lost: %s. What to do: %s", name, facts(faults), Advice(faults))
}
