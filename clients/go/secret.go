package userservice

import (
	"crypto/subtle"
	"errors"
	"fmt"
)

// hidden is what a Secret looks like wherever it is printed.
const hidden = "[secret]"

// A Secret is a password, a token or a code. It does not print: with every verb of fmt, in JSON,
// in XML and in logs, it is "[secret]". Reveal returns the text.
//
// The zero value is an empty secret.
type Secret struct {
	// A function, because fmt prints the content of unexported fields of other structs without
	// calling methods, and follows pointers for some verbs. Of a function, it prints the address.
	content func() []byte
}

// NewSecret returns a secret with this text, which need not be valid UTF-8.
func NewSecret(text string) Secret {
	bytes := []byte(text)
	return Secret{func() []byte { return bytes }}
}

// SecretOf returns a pointer to a secret with this text, for optional fields.
func SecretOf(text string) *Secret {
	secret := NewSecret(text)
	return &secret
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	return string(s.raw())
}

// Equal tells whether both secrets have the same text, in a time that does not depend on where
// they differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.raw(), other.raw()) == 1
}

// IsEmpty tells whether the text is empty.
func (s Secret) IsEmpty() bool {
	return len(s.raw()) == 0
}

func (s Secret) raw() []byte {
	if s.content == nil {
		return nil
	}
	return s.content()
}

// Format implements fmt.Formatter for all verbs.
func (s Secret) Format(state fmt.State, _ rune) {
	// There is nothing that a caller of fmt could do about an error.
	_, _ = state.Write([]byte(hidden))
}

// String returns "[secret]".
func (s Secret) String() string {
	return hidden
}

// GoString returns "[secret]".
func (s Secret) GoString() string {
	return hidden
}

// MarshalText returns "[secret]", for JSON, XML and loggers.
func (s Secret) MarshalText() ([]byte, error) {
	return []byte(hidden), nil
}

// UnmarshalText sets the text, so that a secret can be read from JSON.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// GobEncode refuses: a secret is not stored.
func (s Secret) GobEncode() ([]byte, error) {
	return nil, errors.New("userservice: a secret is not encoded")
}
