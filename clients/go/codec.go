package userservice

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"
)

// headerSize is the number of bytes before the body: length, type and request id.
const headerSize = 9

// message is a request, a reply, or a row of a list.
type message interface {
	appendFields(w *writer)
	readFields(r *reader)
}

// decodeError describes bytes that are not a valid message.
type decodeError struct {
	code  ErrorCode
	field string
}

func (e *decodeError) Error() string {
	return fmt.Sprintf("%s in %s", e.code, e.field)
}

// writer encodes fields. The first error is kept.
type writer struct {
	bytes []byte
	err   error
}

func (w *writer) fail(field, reason string) {
	if w.err == nil {
		w.err = fmt.Errorf("%s %s", field, reason)
	}
}

func (w *writer) size(field string, size int) {
	if size > maxLength {
		w.fail(field, "is too long")
		size = 0
	}
	w.bytes = binary.BigEndian.AppendUint16(w.bytes, uint16(size))
}

func (w *writer) tag(tag byte, field string, size int) {
	w.bytes = append(w.bytes, tag)
	w.size(field, size)
}

func (w *writer) u8(value uint8)   { w.bytes = append(w.bytes, value) }
func (w *writer) u16(value uint16) { w.bytes = binary.BigEndian.AppendUint16(w.bytes, value) }
func (w *writer) u32(value uint32) { w.bytes = binary.BigEndian.AppendUint32(w.bytes, value) }
func (w *writer) raw(value []byte) { w.bytes = append(w.bytes, value...) }

// text appends the bytes of a text, without a length.
func (w *writer) text(field, value string) {
	if !utf8.ValidString(value) {
		w.fail(field, "is not valid UTF-8")
	}
	w.bytes = append(w.bytes, value...)
}

func (w *writer) address(field, value string) {
	if !validAddress(value) {
		w.fail(field, "is not an IP address")
	}
	w.bytes = append(w.bytes, value...)
}

func (w *writer) duration(field string, value, unit time.Duration) {
	count := value / unit
	if value < 0 || count > 0xFFFF_FFFF {
		w.fail(field, "is out of range")
	}
	w.u32(uint32(count))
}

func (w *writer) instant(field string, value int64) {
	if value < 0 || value > maxInstant {
		w.fail(field, "is out of range")
	}
	w.bytes = binary.BigEndian.AppendUint64(w.bytes, uint64(value))
}

// row appends a row of a list, with its length.
func (w *writer) row(list string, row message) {
	at := len(w.bytes)
	w.u16(0)
	row.appendFields(w)
	size := len(w.bytes) - at - 2
	if size > maxLength {
		w.fail(list, "is too long")
		return
	}
	binary.BigEndian.PutUint16(w.bytes[at:], uint16(size))
}

// appendFrame encodes a request or a reply with this id.
func appendFrame(kind byte, id uint32, body message, tags *common) ([]byte, error) {
	w := writer{bytes: make([]byte, 4, 128)}
	w.u8(kind)
	w.u32(id)
	body.appendFields(&w)
	if tags != nil {
		tags.append(&w)
	}
	size := len(w.bytes) - 4
	if size > maxLength {
		w.fail("the request", "is too long")
	}
	if w.err != nil {
		return nil, w.err
	}
	binary.BigEndian.PutUint32(w.bytes, uint32(size))
	return w.bytes, nil
}

// checkLength returns an error if a frame cannot have this length.
func checkLength(length uint32) error {
	switch {
	case length < minLength:
		return &decodeError{CodeFrameTooShort, "length"}
	case length > maxLength:
		return &decodeError{CodeFrameTooLong, "length"}
	}
	return nil
}

// reader decodes fields. After the first error, it returns zero values.
type reader struct {
	bytes []byte
	err   *decodeError
	// nextAllowed is the lowest tag that may follow.
	nextAllowed int
	// common are the common tags of a request.
	common *common
}

func (r *reader) fail(field string) {
	if r.err == nil {
		r.err = &decodeError{CodeMalformed, field}
	}
	r.bytes = nil
}

func (r *reader) take(field string, size int) []byte {
	if r.err != nil || len(r.bytes) < size {
		r.fail(field)
		return nil
	}
	taken := r.bytes[:size:size]
	r.bytes = r.bytes[size:]
	return taken
}

func (r *reader) u16(field string) uint16 {
	if taken := r.take(field, 2); taken != nil {
		return binary.BigEndian.Uint16(taken)
	}
	return 0
}

// sized reads a length and as many bytes.
func (r *reader) sized(field string) []byte {
	return r.take(field, int(r.u16(field)))
}

// nextTag reads a tag with its value, and returns false at the end.
func (r *reader) nextTag() (byte, []byte, bool) {
	if r.err != nil || len(r.bytes) == 0 {
		return 0, nil, false
	}
	tag := int(r.bytes[0])
	if len(r.bytes) < 3 || tag < r.nextAllowed {
		r.fail("tail")
		return 0, nil, false
	}
	r.nextAllowed = tag + 1
	r.bytes = r.bytes[1:]
	value := r.sized("tail")
	return byte(tag), value, r.err == nil
}

// unknownTag skips an odd tag, and rejects an even one.
func (r *reader) unknownTag(tag byte) {
	if tag%2 == 0 && r.err == nil {
		r.fail(fmt.Sprintf("0x%02X", tag))
		r.err.code = CodeUnknownTag
	}
}

func (r *reader) text(field string, value []byte) string {
	if !utf8.Valid(value) {
		r.fail(field)
		return ""
	}
	return string(value)
}

func (r *reader) address(field string, value []byte) string {
	if !validAddress(string(value)) {
		r.fail(field)
	}
	return string(value)
}

func (r *reader) exact(field string, value []byte, size int) bool {
	if r.err != nil || len(value) != size {
		r.fail(field)
		return false
	}
	return true
}

func (r *reader) asU8(field string, value []byte) uint8 {
	if !r.exact(field, value, 1) {
		return 0
	}
	return value[0]
}

func (r *reader) asU16(field string, value []byte) uint16 {
	if !r.exact(field, value, 2) {
		return 0
	}
	return binary.BigEndian.Uint16(value)
}

func (r *reader) asU32(field string, value []byte) uint32 {
	if !r.exact(field, value, 4) {
		return 0
	}
	return binary.BigEndian.Uint32(value)
}

func (r *reader) asInstant(field string, value []byte) int64 {
	if !r.exact(field, value, 8) {
		return 0
	}
	instant := binary.BigEndian.Uint64(value)
	if instant > maxInstant {
		r.fail(field)
		return 0
	}
	return int64(instant)
}

func (r *reader) asID(field string, value []byte) (id [16]byte) {
	if r.exact(field, value, 16) {
		copy(id[:], value)
	}
	return id
}

// rows reads a list: `each` reads the fields of a row.
func (r *reader) rows(list string, each func(row *reader)) {
	// No memory is reserved before a row was found to be present.
	for count := r.u16(list); count > 0 && r.err == nil; count-- {
		row := reader{bytes: r.sized(list)}
		if r.err != nil {
			return
		}
		each(&row)
		if row.err != nil {
			r.fail(list)
		}
	}
}

// decodeBody decodes the body of a reply.
func decodeBody(body []byte, into message) error {
	r := reader{bytes: body}
	into.readFields(&r)
	if r.err != nil {
		return r.err
	}
	return nil
}

func validAddress(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && address.Zone() == ""
}
