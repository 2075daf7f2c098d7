package userservice

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
)

// An IdempotencyKey identifies one intended change. A request that changes something and is sent
// again with the same key is executed at most once.
type IdempotencyKey [16]byte

// NewIdempotencyKey returns a random key.
func NewIdempotencyKey() (IdempotencyKey, error) {
	var key IdempotencyKey
	_, err := rand.Read(key[:])
	return key, err
}

// ParseIdempotencyKey reads a key of 32 hexadecimal digits.
func ParseIdempotencyKey(text string) (IdempotencyKey, error) {
	var key IdempotencyKey
	if len(text) != 2*len(key) {
		return key, errors.New("userservice: expected 32 hexadecimal digits")
	}
	if _, err := hex.Decode(key[:], []byte(text)); err != nil {
		return IdempotencyKey{}, errors.New("userservice: expected 32 hexadecimal digits")
	}
	return key, nil
}

// String returns the key as 32 hexadecimal digits.
func (k IdempotencyKey) String() string {
	return hex.EncodeToString(k[:])
}

// A CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct {
	tags   common
	hasKey bool
	err    error
}

// WithIdempotencyKey sends this key instead of a new one. Use it to repeat a change of an earlier
// call, such as one whose outcome is unknown.
func WithIdempotencyKey(key IdempotencyKey) CallOption {
	return func(o *callOptions) {
		if key == (IdempotencyKey{}) {
			o.err = errors.New("WithIdempotencyKey: expected a random key (NewIdempotencyKey makes one), not zeros")
		}
		o.tags.idempotencyKey, o.hasKey = &key, true
	}
}

// WithoutIdempotencyKey sends no key. Then a request that changes something is not sent again if
// its outcome is unknown.
func WithoutIdempotencyKey() CallOption {
	return func(o *callOptions) {
		o.tags.idempotencyKey, o.hasKey = nil, true
	}
}

// WithClientAddress states the IP address of the end user, by which rate limits are counted. A
// gateway should state it in every call. A port after the address is left out, so RemoteAddr of an
// http.Request is an address too.
func WithClientAddress(address string) CallOption {
	return func(o *callOptions) {
		ip, err := netip.ParseAddr(address)
		if withPort, portErr := netip.ParseAddrPort(address); portErr == nil {
			ip, err = withPort.Addr(), nil
		}
		if err != nil {
			o.err = fmt.Errorf("WithClientAddress(%s): expected an IP address, such as 203.0.113.7", quoted(address))
			return
		}
		// A zone is a name of a network interface of this machine.
		text := ip.WithZone("").String()
		o.tags.clientAddress = &text
	}
}

// WithTraceparent sends the trace of the request (W3C Trace Context), instead of the one of the
// context.
func WithTraceparent(traceparent string) CallOption {
	return func(o *callOptions) { o.tags.traceparent = &traceparent }
}

type traceKey struct{}

// ContextWithTraceparent returns a context whose calls send this traceparent. Middleware does this
// with the header of a request.
func ContextWithTraceparent(ctx context.Context, traceparent string) context.Context {
	return context.WithValue(ctx, traceKey{}, traceparent)
}

func resolveOptions(ctx context.Context, info *requestInfo, options []CallOption) (common, error) {
	var resolved callOptions
	if trace, ok := ctx.Value(traceKey{}).(string); ok {
		resolved.tags.traceparent = &trace
	}
	for _, option := range options {
		if option == nil {
			return common{}, errors.New("expected a CallOption, not nil")
		}
		option(&resolved)
		if resolved.err != nil {
			return common{}, resolved.err
		}
	}
	if info.changes && !resolved.hasKey {
		key, err := NewIdempotencyKey()
		if err != nil {
			return common{}, err
		}
		resolved.tags.idempotencyKey = &key
	}
	return resolved.tags, nil
}

// Some returns a pointer to a value, for optional fields.
func Some[T any](value T) *T {
	return &value
}
