package peer

// EncodeState is what a worker answers in at most so many bytes.
var EncodeState = encodeState
