package userservice

import (
	"encoding/binary"
	"errors"
	"log"
	"strings"
	"sync"
)

// Frame is a frame as the tests see it.
type Frame struct {
	Kind    byte
	ID      uint32
	Message any
	Common  map[string]any
	encode  func() ([]byte, error)
}

// Encode encodes the message again.
func (f *Frame) Encode() ([]byte, error) { return f.encode() }

// ErrIncomplete says that more bytes are needed.
var ErrIncomplete = errors.New("incomplete")

// MessageOf returns an empty message of a type.
func MessageOf(kind byte) any {
	if kind >= 0x80 {
		return newReply(kind)
	}
	for _, request := range []requestMessage{
		new(Register), new(Login), new(VerifyToken), new(UpdateUser), new(DeleteUser),
		new(VerifyEmail), new(ResendCode), new(RefreshToken), new(Logout), new(GetUser),
		new(RequestPasswordReset), new(ResetPassword), new(ConfirmEmail), new(ListSessions),
		new(EndSession), new(GetKeys), new(WatchRevocations), new(Ping),
	} {
		if request.info().kind == kind {
			return request
		}
	}
	return nil
}

// Decode decodes the first frame of a direction. An error has a code and a field.
func Decode(direction string, bytes []byte) (*Frame, error) {
	if len(bytes) < 4 {
		return nil, ErrIncomplete
	}
	length := binary.BigEndian.Uint32(bytes)
	if err := checkLength(length); err != nil {
		return nil, err
	}
	if len(bytes) < int(length)+4 {
		return nil, ErrIncomplete
	}
	frame := &Frame{Kind: bytes[4], ID: binary.BigEndian.Uint32(bytes[5:])}
	into, ok := MessageOf(frame.Kind).(message)
	if !ok || (frame.Kind >= 0x80) != (direction == "reply") || frame.Kind >= 0x80 && frame.Kind != 0x80 && into.(replyMessage).kind() != frame.Kind {
		return frame, &decodeError{CodeUnknownType, ""}
	}
	r := reader{bytes: bytes[headerSize : length+4]}
	into.readFields(&r)
	if r.err != nil {
		return frame, r.err
	}
	frame.Message, frame.Common = into, map[string]any{}
	if c := r.common; c != nil {
		if c.clientAddress != nil {
			frame.Common["client_address"] = *c.clientAddress
		}
		if c.deadline != nil {
			frame.Common["deadline_ms"] = float64(c.deadline.Milliseconds())
		}
		if c.idempotencyKey != nil {
			frame.Common["idempotency_key"] = c.idempotencyKey.String()
		}
		if c.traceparent != nil {
			frame.Common["traceparent"] = *c.traceparent
		}
	}
	frame.encode = func() ([]byte, error) { return appendFrame(frame.Kind, frame.ID, into, r.common) }
	return frame, nil
}

// DecodeError returns the code and the field of an error.
func DecodeError(err error) (code ErrorCode, field string) {
	var known *decodeError
	if errors.As(err, &known) {
		return known.code, strings.TrimPrefix(known.field, "length")
	}
	return 0, err.Error()
}

// LogLines is a log that keeps its lines.
type LogLines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Logger returns a logger that writes lines without a time.
func (l *LogLines) Logger() *log.Logger { return log.New(l, "", 0) }

// Write adds text.
func (l *LogLines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

// All returns the lines.
func (l *LogLines) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSuffix(l.text.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// UnderRace tells whether the tests run with the race detector.
const UnderRace = underRace
