package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"revoker/events"
)

// What a receipt takes, measured with server 2.15; the README of revoker/events has the figures. Memory is the server's index of
// subjects, of which each receipt has its own.
const (
	receiptMemory = 310     // bytes
	receiptDisk   = 600     // bytes
	muchMemory    = 1 << 30 // bytes; from here on check warns
	tinyReceipt   = 2 << 10 // bytes; a stream that takes less may refuse a receipt
)

// checkReceipts tries the receipts' subjects, and looks whether the stream's limits fit what they promise.
func (c *check) checkReceipts(ctx context.Context, exists bool) {
	const publishing = "permission to publish receipts"
	if !exists {
		c.Add(Skipped, publishing, "there is no receipt stream yet", "")
		return
	}
	subject := events.ReceiptSubject(c.cfg, "revoker-check")
	if !c.checkStoredBy(ctx, publishing, subject, c.cfg.ReceiptStream, "REVOKER_RECEIPT_STREAM or REVOKER_RECEIPT_SUBJECT") {
		return
	}
	stream, err := c.conn.JetStream().Stream(ctx, c.cfg.ReceiptStream)
	if err != nil {
		c.Add(Failed, "room for receipts", err.Error(), "look at the server's log")
		return
	}
	c.Findings = append(c.Findings, receiptRoom(stream.CachedInfo().Config, stream.CachedInfo().State, time.Now()))
}

// receiptRoom holds the limits of a receipt stream against each other and against what is in it.
func receiptRoom(limits jetstream.StreamConfig, state jetstream.StreamState, now time.Time) Finding {
	f := Finding{Name: "room for receipts", State: OK}
	f.Detail = fmt.Sprintf("%d receipts, %d bytes", state.Msgs, state.Bytes)
	var details, remedies []string
	warn := func(detail, remedy string) {
		f.State = Warning
		details, remedies = append(details, detail), append(remedies, remedy)
	}
	most := limits.MaxMsgs
	if limits.MaxBytes > 0 && (most <= 0 || limits.MaxBytes/receiptDisk < most) {
		if most > 0 {
			warn(fmt.Sprintf("max bytes holds some %d receipts, of the %d that max messages allows", limits.MaxBytes/receiptDisk, most),
				fmt.Sprintf("set max bytes to at least %d, or none", most*receiptDisk))
		}
		most = limits.MaxBytes / receiptDisk
	}
	switch {
	case most <= 0:
		warn("their number has no limit, and each takes the server's memory: a million take "+mebibytes(1_000_000*receiptMemory),
			"`nats stream edit "+limits.Name+" --max-msgs=…`")
	case most*receiptMemory >= muchMemory:
		warn(fmt.Sprintf("a full stream of %d takes the server some %s of memory", most, mebibytes(most*receiptMemory)),
			"see that the server has it, on each replica, or lower max messages of the stream")
	}
	if full := most > 0 && int64(state.Msgs) >= most*95/100; full && limits.Discard == jetstream.DiscardOld && now.Sub(state.FirstTime) < limits.MaxAge {
		warn(fmt.Sprintf("the stream is full: it goes back %s, not the %s of its max age", now.Sub(state.FirstTime).Round(time.Minute), limits.MaxAge),
			"raise REVOKER_RECEIPT_MAX_COUNT and run `revoker setup`")
	}
	if limits.MaxMsgSize > 0 && limits.MaxMsgSize < tinyReceipt {
		warn(fmt.Sprintf("max message size is %d bytes, which a receipt may pass", limits.MaxMsgSize), fmt.Sprintf("set it to at least %d, or none", tinyReceipt))
	}
	if len(details) > 0 {
		f.Detail += "; " + strings.Join(details, "; ")
		f.Remedy = strings.Join(remedies, "; ")
	}
	return f
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
