package logouttoken

// Reason is why a token is refused: a label of metrics, so there are only these.
type Reason string

// The reasons, in the order in which they are looked for. Those before ReasonSignature can be met by anyone who sends something.
const (
	ReasonMalformed Reason = "malformed" // not a signed JWT, or one whose claims can't be read
	ReasonEncrypted Reason = "encrypted"
	ReasonAlgorithm Reason = "algorithm" // none, symmetric, or not one that the issuer signs with
	ReasonCritical  Reason = "critical"  // the header demands an extension
	ReasonType      Reason = "type"      // typ says that it is another kind of token
	ReasonIssuer    Reason = "issuer"    // iss is not a configured one
	ReasonKey       Reason = "key"       // the issuer has no such key
	ReasonSignature Reason = "signature" // no key of the issuer's made the signature
	ReasonAudience  Reason = "audience"
	ReasonIssuedAt  Reason = "issued_at"
	ReasonExpired   Reason = "expired"
	ReasonStale     Reason = "stale" // it never expires, and is old
	ReasonTokenID   Reason = "token_id"
	ReasonEvents    Reason = "events" // it does not say that it is a logout token
	ReasonNonce     Reason = "nonce"  // it may be an ID token
	ReasonSubject   Reason = "subject_only"
	ReasonSession   Reason = "session_id"
)

// Reasons are all of them.
var Reasons = []Reason{
	ReasonMalformed, ReasonEncrypted, ReasonAlgorithm, ReasonCritical, ReasonType, ReasonIssuer, ReasonKey, ReasonSignature, ReasonAudience,
	ReasonIssuedAt, ReasonExpired, ReasonStale, ReasonTokenID, ReasonEvents, ReasonNonce, ReasonSubject, ReasonSession,
}

// Refusal is the error for a token that is refused. It quotes nothing of the token.
type Refusal struct {
	Reason Reason
	// Text is a sentence for the sender.
	Text string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(reason Reason, text string) error { return &Refusal{reason, text} }
