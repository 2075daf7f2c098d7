package userservice

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// An Outcome says what an error means for the request.
type Outcome int

const (
	// Unknown: the service may have executed the request, or may still do so.
	Unknown Outcome = iota
	// NotDone: the service has not executed the request, and will not.
	NotDone
	// Refused: the service has decided against the request.
	Refused
)

// String returns "unknown", "not_done" or "refused".
func (o Outcome) String() string {
	switch o {
	case NotDone:
		return "not_done"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// OutcomeOf returns the outcome of a request that ended with this error of a Client.
func OutcomeOf(err error) Outcome {
	var known interface{ Outcome() Outcome }
	if errors.As(err, &known) {
		return known.Outcome()
	}
	return Unknown
}

// An ErrorCode is the code of a ServerError. The high byte is its class.
type ErrorCode uint16

type codeInfo struct {
	name    string
	outcome Outcome
	http    int
	// isForClient is set if the client may send the same request again by itself.
	isForClient bool
}

func (c ErrorCode) info() codeInfo {
	if known, ok := knownCodes[c]; ok {
		return known
	}
	if class, ok := knownClasses[c.Class()]; ok {
		return class
	}
	return unknownClass
}

// Class returns the class of the code, its high byte.
func (c ErrorCode) Class() byte {
	return byte(c >> 8)
}

// concernsFrames tells whether the server could not read a frame. It would not read the same frame
// on another connection either.
func (c ErrorCode) concernsFrames() bool {
	return c == CodeMalformed || c == CodeFrameTooLong || c == CodeFrameTooShort
}

// String returns the name of the code, such as INVALID_CREDENTIALS, or its number.
func (c ErrorCode) String() string {
	if known, ok := knownCodes[c]; ok {
		return known.name
	}
	return fmt.Sprintf("error %04X", uint16(c))
}

// A ServerError is an error that the service answered. Use errors.As to get it.
type ServerError struct {
	// Code is one of the constants, unless the server is newer than this client.
	Code ErrorCode
	// Message is a description for developers. It may change.
	Message string
	// RetryAfter is the time after which the request may be sent again; nil if none was stated.
	RetryAfter *time.Duration
	// Field is the name of the invalid field, if there is one.
	Field string

	outcome Outcome
}

func newServerError(reply *errorReply) *ServerError {
	err := &ServerError{
		Code:       reply.Code,
		Message:    reply.Message,
		RetryAfter: reply.RetryAfter,
		outcome:    reply.Code.info().outcome,
	}
	if reply.Field != nil {
		err.Field = *reply.Field
	}
	return err
}

// Error describes the error.
func (e *ServerError) Error() string {
	text := fmt.Sprintf("userservice: %s (%04X): %s", e.Code, uint16(e.Code), printable(e.Message))
	return text + suffix(e.outcome)
}

// Outcome says what the error means for the request.
func (e *ServerError) Outcome() Outcome {
	return e.outcome
}

// Wait returns the time after which the request may be sent again. It is 1 s for an error of the
// class 05 that states none, and 0 for other errors.
func (e *ServerError) Wait() time.Duration {
	switch {
	case e.RetryAfter != nil:
		return *e.RetryAfter
	case e.Code.Class() == 5:
		return time.Second
	}
	return 0
}

// The reasons for which a call ends without an answer. Use errors.Is.
var (
	// ErrDeadline: there was no reply before the deadline or the end of the context.
	ErrDeadline = errors.New("no reply within the deadline")
	// ErrConnectionLost: the connection ended after the request was sent.
	ErrConnectionLost = errors.New("the connection was lost")
	// ErrConnect: no connection could be established.
	ErrConnect = errors.New("cannot connect")
	// ErrTLS: the TLS handshake failed, or the service rejected the client's certificate.
	ErrTLS = errors.New("TLS failed")
	// ErrBadReply: the reply cannot be decoded, or does not belong to the request.
	ErrBadReply = errors.New("invalid reply")
	// ErrInvalidRequest: the request cannot be encoded, or an argument is wrong.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrPlaintext: a secret, or a request for keys or revocations, would be sent without TLS to an
	// address that is not loopback.
	ErrPlaintext = errors.New("refusing to send a secret without TLS to an address that is not loopback")
	// ErrTooManyCalls: more calls are in progress than Config.MaxCalls allows.
	ErrTooManyCalls = errors.New("too many calls are in progress")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("the client is closed")
)

// A CallError is an error of a call that the service did not answer. Reason is one of the errors
// above; Cause has the details, and may be nil.
type CallError struct {
	Reason error
	Cause  error

	outcome Outcome
}

func callError(reason, cause error, outcome Outcome) *CallError {
	return &CallError{reason, cause, outcome}
}

// Error describes the error.
func (e *CallError) Error() string {
	text := "userservice: " + e.Reason.Error()
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text + suffix(e.outcome)
}

// Outcome says what the error means for the request.
func (e *CallError) Outcome() Outcome {
	return e.outcome
}

// Is tells whether target is the reason.
func (e *CallError) Is(target error) bool {
	return target == e.Reason
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error {
	return e.Cause
}

// isMistake tells whether an error is one of the program that called, not of the service.
func isMistake(err error) bool {
	return errors.Is(err, ErrInvalidRequest) || errors.Is(err, ErrPlaintext)
}

// brief returns the text of an error as a part of another text.
func brief(err error) string {
	return strings.TrimSuffix(strings.TrimPrefix(err.Error(), "userservice: "), suffix(Unknown))
}

// printable returns a text of someone else in one line of limited length.
func printable(text string) string {
	if len(text) > 2*maxErrorMessage {
		text = text[:2*maxErrorMessage]
	}
	shown := strings.Map(func(char rune) rune {
		if !unicode.IsPrint(char) {
			return utf8.RuneError
		}
		return char
	}, text)
	if len(shown) > maxErrorMessage {
		return strings.ToValidUTF8(shown[:maxErrorMessage], "") + "..."
	}
	return shown
}

// quoted returns the beginning of a text, in quotes.
func quoted(text string) string {
	if len(text) > 64 {
		return strconv.Quote(text[:64]) + "..."
	}
	return strconv.Quote(text)
}

func suffix(outcome Outcome) string {
	if outcome == Unknown {
		return "; it is unknown whether the request was executed"
	}
	return ""
}

// withOutcome returns a copy of an error of a call with another outcome.
func withOutcome(err error, outcome Outcome) error {
	switch known := err.(type) {
	case *ServerError:
		changed := *known
		changed.outcome = outcome
		return &changed
	case *CallError:
		changed := *known
		changed.outcome = outcome
		return &changed
	}
	return err
}
