package events

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"revoker/config"
	"revoker/events/internal/conn"
)

// The acknowledgements of JetStream: https://docs.nats.io/reference/reference-protocols/nats_api_reference#acknowledging-messages
const (
	ackDone       = "+ACK"
	ackInProgress = "+WPI"
	ackTerminate  = "+TERM"
	ackNegative   = "-NAK"
)

// Delivery is one delivery of one message to this process. Each must be settled once: by Ack, Nak or Term. Settling only
// sends, a moment later; if that is lost, the server delivers the message again. Nothing is sent once the consumer or its
// stream was deleted, since the sequence may name another message by then.
type Delivery struct {
	conn        *Conn
	incarnation *conn.Incarnation
	msg         *nats.Msg

	Lane     config.Lane
	Stream   string
	Consumer string
	// Sequence is the message's place in the stream.
	Sequence uint64
	// Deliveries counts how often the message was delivered, this delivery included. It is too high after crashes of workers
	// and after hand-backs, and too low after a crash of the server.
	Deliveries int
	// Published is when the stream stored the message.
	Published time.Time
	// Pending is how many events wait behind this one in its lane that were never delivered.
	Pending uint64
}

func (c *Consumer) newDelivery(msg *nats.Msg, meta *nats.MsgMetadata) *Delivery {
	return &Delivery{
		conn:        c.conn,
		incarnation: c.incarnation,
		msg:         msg,
		Lane:        c.Lane,
		Stream:      meta.Stream,
		Consumer:    meta.Consumer,
		Sequence:    meta.Sequence.Stream,
		Deliveries:  int(meta.NumDelivered),
		Published:   meta.Timestamp,
		Pending:     meta.NumPending,
	}
}

// Subject is the subject that the message was published to.
func (d *Delivery) Subject() string { return d.msg.Subject }

// Header is the message's header. It must not be changed.
func (d *Delivery) Header() nats.Header { return d.msg.Header }

// Payload is the message's payload. It must not be changed.
func (d *Delivery) Payload() []byte { return d.msg.Data }

// Ack settles the delivery: the event is done.
func (d *Delivery) Ack() { d.settle(ackDone) }

// Nak hands the event back, to be delivered again after delay; at once for no delay.
func (d *Delivery) Nak(delay time.Duration) {
	ack := ackNegative
	if delay > 0 {
		ack += ` {"delay": ` + strconv.FormatInt(int64(delay), 10) + `}`
	}
	d.settle(ack)
}

// Term settles the delivery: the event is not delivered again. The reason goes into an advisory that anyone may see. Servers
// before 2.10.4 ignore a Term with a reason, so they get none.
func (d *Delivery) Term(reason string) {
	ack := ackTerminate
	if d.conn.ServerAtLeast(2, 10, 4) {
		ack += " " + reason
	}
	d.settle(ack)
}

// InProgress starts the ack wait anew. It must not follow a settlement: the server would take it for a new delay.
func (d *Delivery) InProgress() { d.settle(ackInProgress) }

func (d *Delivery) settle(ack string) { d.incarnation.Settle(d.msg.Reply, ack) }
