package events

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/config"
	"revoker/events/internal/conn"
)

// OverlapRemedy says what to do if another stream stores a subject of a stream that revoker is to create.
func OverlapRemedy(cfg config.Config, stream string) string {
	switch stream {
	case cfg.DeadLetterStream:
		return overlapRemedy(deadLetterVariable)
	case cfg.ReceiptStream:
		return overlapRemedy(receiptVariable)
	}
	return overlapRemedy(eventVariable)
}

// overlapRemedy is OverlapRemedy for the stream that a variable names.
func overlapRemedy(variable string) string {
	subject := strings.Replace(variable, "_STREAM", "_SUBJECT", 1)
	return "name that stream with " + variable + ", choose another subject with " + subject + ", or take the subject out of that stream"
}

// explainOverlap says so if another stream stores one of subjects. It explains no error as nil.
func explainOverlap(err error, subjects []string, variable string) error {
	if !conn.Overlaps(err) {
		return err
	}
	return fmt.Errorf("%w: another one stores %s (`nats stream ls --subject %s` names it): %s",
		err, strings.Join(subjects, " or "), subjects[0], overlapRemedy(variable))
}

// replaceConsumer says how to replace a consumer that can't be changed in place, without losing an event. That depends on the
// stream's retention. With interest retention the server deletes what waits for no other consumer. A work queue takes no second
// consumer for the same events.
func replaceConsumer(stream jetstream.StreamConfig, consumer string, lane config.Lane) string {
	variable := "REVOKER_CONSUMER"
	if lane == config.Bulk {
		variable = "REVOKER_BULK_CONSUMER"
	}
	remove := fmt.Sprintf("`nats consumer rm %s %s`", stream.Name, consumer)
	switch stream.Retention {
	case jetstream.InterestPolicy:
		return "it can't be changed in place, and must not be deleted yet: the stream has interest retention, so the events that wait for" +
			" this consumer alone would be deleted too. Name a new consumer with " + variable + ", run `revoker setup`, start the workers with that" +
			" name, and only then delete this one (" + remove + ")"
	case jetstream.WorkQueuePolicy:
		return "it can't be changed in place: delete the consumer (" + remove + ") and run `revoker setup`. The events that are not" +
			" acknowledged stay in the stream, for it is a work queue"
	}
	return "it can't be changed in place: delete the consumer (" + remove + ") and run `revoker setup`; events that are still in the stream" +
		" are then revoked again, which is harmless. Or name another with " + variable
}

// replaceStream says how to replace a stream that can't be changed in place, without losing a message. variable is the variable
// that names the stream.
func replaceStream(stream jetstream.StreamConfig, variable string) string {
	remove := fmt.Sprintf("`nats stream rm %s`", stream.Name)
	if variable == receiptVariable {
		return "the server can't change it, and a stream that is deleted takes its receipts along: name another stream and subject with" +
			" REVOKER_RECEIPT_STREAM and REVOKER_RECEIPT_SUBJECT, and delete this one (" + remove + ") once its receipts are of no use"
	}
	if variable == deadLetterVariable {
		return "the server can't change it, and a stream that is deleted takes its dead letters along: name another stream and subject" +
			" with REVOKER_DEAD_LETTER_STREAM and REVOKER_DEAD_LETTER_SUBJECT, and delete this one (" + remove + ") once no dead letter is in it" +
			" (`revoker dlq ls` with the old names)"
	}
	return "the server can't change it, and a stream that is deleted takes its events along: stop the publishers, wait until `revoker status`" +
		" shows that no event is left, then delete the stream (" + remove + "; its other consumers go too) and run `revoker setup`. Or move the" +
		" publishers to a new stream and subject (REVOKER_STREAM, REVOKER_SUBJECT), and let workers with the old names finish this one"
}
