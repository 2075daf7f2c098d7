package userservice

import (
	"encoding/hex"
	"errors"
)

// A UUID identifies a user, a session or a registration.
type UUID [16]byte

// ParseUUID reads the text form, such as "0193a5e0-7b1c-7d2e-8f40-5a6b7c8d9e0f".
func ParseUUID(text string) (UUID, error) {
	var id UUID
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return UUID{}, errors.New("userservice: invalid UUID")
	}
	digits := text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return UUID{}, errors.New("userservice: invalid UUID")
	}
	return id, nil
}

// String returns the text form.
func (id UUID) String() string {
	var text [36]byte
	at := 0
	for i, size := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			text[at] = '-'
			at++
		}
		from := (at - i) / 2
		hex.Encode(text[at:], id[from:from+size])
		at += 2 * size
	}
	return string(text[:])
}

// MarshalText returns the text form.
func (id UUID) MarshalText() ([]byte, error) {
	return []byte(id.String()), nil
}

// UnmarshalText reads the text form.
func (id *UUID) UnmarshalText(text []byte) error {
	parsed, err := ParseUUID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}
