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

type requestMessage interface {
	message
	info() *requestInfo
	hashes() bool
}

type replyMessage interface {
	message
	kind() byte
}
