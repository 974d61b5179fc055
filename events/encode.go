package events

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"revoker/config"
	"revoker/events/jsonobject"
)

// bulkIDPrefix tells the message IDs of the bulk lane from those of the live one.
const bulkIDPrefix = "bulk/"

// MessageID is the Nats-Msg-Id of the event in a lane: the hex SHA-256 of service ID, NUL, session ID, behind "bulk/" in the bulk lane.
// So an event that is published twice within the stream's duplicate window is stored once, and the header gives nothing away. A live
// event is no duplicate of a bulk one, behind whose backlog the session would wait.
func (e Event) MessageID(lane config.Lane) string {
	if lane == config.Bulk {
		return bulkIDPrefix + e.hash()
	}
	return e.hash()
}

// hash is the hex SHA-256 of service ID, NUL, session ID.
func (e Event) hash() string {
	var buffer [2 * MaxSessionIDLength]byte // on the stack
	text := append(append(append(buffer[:0], e.ServiceID...), 0), e.SessionID...)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Encode returns the event as the JSON object that [Decode] reads.
func (e Event) Encode() []byte {
	const names = `{"sessionId":"","serviceId":"","endedAt":"","reason":""}`
	payload := make([]byte, 0, len(names)+len(e.SessionID)+len(e.ServiceID)+len(time.RFC3339Nano)+len(e.Reason))
	payload = append(payload, `{"sessionId":`...)
	payload = jsonobject.AppendText(payload, string(e.SessionID))
	if e.ServiceID != "" {
		payload = append(payload, `,"serviceId":`...)
		payload = jsonobject.AppendText(payload, e.ServiceID)
	}
	if !e.EndedAt.IsZero() {
		payload = append(payload, `,"endedAt":"`...)
		payload = e.EndedAt.UTC().AppendFormat(payload, time.RFC3339Nano)
		payload = append(payload, '"')
	}
	if e.Reason != "" {
		payload = append(payload, `,"reason":`...)
		payload = jsonobject.AppendText(payload, e.Reason)
	}
	return append(payload, '}')
}
