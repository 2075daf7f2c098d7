package userservice

// retryClass says whether a request may be sent again if its outcome is unknown.
type retryClass int

const (
	// retryOnce: only with an idempotency key.
	retryOnce retryClass = iota
	retrySafe
	// retrySafeForAWhile: within 30 s of first sending it.
	retrySafeForAWhile
)

// requestInfo describes a type of requests.
type requestInfo struct {
	name      string
	kind      byte
	reply     byte
	changes   bool
	hasSecret bool
	retry     retryClass
}

// isConfidential tells whether a request must not be sent in plain text to another machine: it
// contains a secret, or its reply decides which tokens are accepted.
func (i *requestInfo) isConfidential() bool {
	return i.hasSecret || i.kind >= 0x20 && i.kind <= 0x2F
}

type requestMessage interface {
	message
	info() *requestInfo
	hashes() bool
}

type replyMessage interface {
	message
	kind() byte
}
