package userservice

import (
	"errors"
	"time"
)

// The reasons for which a token is not accepted. Use errors.Is.
var (
	// ErrTokenInvalid: the token is not an access token of the service.
	ErrTokenInvalid = errors.New("the token is not an access token of this service")
	// ErrTokenExpired: the token has expired.
	ErrTokenExpired = errors.New("the token has expired")
	// ErrTokenRevoked: the session or the user of the token has ended.
	ErrTokenRevoked = errors.New("the session of the token has ended")
	// ErrUnavailable: the token could not be checked, neither in memory nor by the service. It is
	// neither valid nor invalid.
	ErrUnavailable = errors.New("the token could not be checked, because the service is not available")
)

// A VerifyError is the error of a check. Reason is one of the errors above, or ErrInvalidRequest or
// ErrPlaintext if the program called in a wrong way. Cause is the error of the service, if it was
// asked, and may be nil.
type VerifyError struct {
	Reason error
	Cause  error
}

// Error describes the error.
func (e *VerifyError) Error() string {
	if e.Cause != nil {
		return "userservice: " + e.Reason.Error() + ": " + e.Cause.Error()
	}
	return "userservice: " + e.Reason.Error()
}

// Is tells whether target is the reason.
func (e *VerifyError) Is(target error) bool {
	return target == e.Reason
}

// Unwrap returns the cause.
func (e *VerifyError) Unwrap() error {
	return e.Cause
}

// Verified is the content of a valid access token.
type Verified struct {
	UserID    UUID
	SessionID UUID
	IssuedAt  time.Time
	ExpiresAt time.Time
	// Stale is the age of the revocations that were considered, if it is over a second.
	Stale time.Duration
}
