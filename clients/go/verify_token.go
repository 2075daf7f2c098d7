package userservice

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

const (
	// maxToken is the longest token in bytes.
	maxToken = 2_048
	// maxDepth is the deepest nesting of JSON in a token.
	maxDepth  = 16
	tokenType = "at+jwt"
)

// strictBase64 accepts the one canonical form only.
var strictBase64 = base64.RawURLEncoding.Strict()

// parsedToken is a token that has been split, with its decoded header. Nothing in it is verified.
type parsedToken struct {
	signed    []byte // encoded header, dot and encoded claims
	claims    []byte
	signature []byte
	kid, alg  string
}

// claims are the claims that a verifier uses, with times in seconds.
type claims struct {
	user, session     UUID
	issued, expiresAt int64
}

// parseToken splits a token and decodes its header. It returns nil if it is not an access token.
func parseToken(token []byte) *parsedToken {
	if len(token) > maxToken {
		return nil
	}
	last := bytes.LastIndexByte(token, '.')
	if last < 0 {
		return nil
	}
	first := bytes.LastIndexByte(token[:last], '.')
	if first < 0 {
		return nil
	}
	text, ok := decodeBase64(token[:first])
	if !ok {
		return nil
	}
	header, ok := parseObject(text)
	if !ok || len(header) != 3 {
		return nil
	}
	kind, okKind := header["typ"].(string)
	alg, okAlg := header["alg"].(string)
	kid, okKid := header["kid"].(string)
	signature, okSignature := decodeBase64(token[last+1:])
	if !okKind || !okAlg || !okKid || !okSignature || kind != tokenType || len(kid) > maxKid {
		return nil
	}
	return &parsedToken{token[:last], token[first+1 : last], signature, kid, alg}
}

// decodeBase64 decodes base64url without padding. Go skips line breaks, so they are refused first.
func decodeBase64(text []byte) ([]byte, bool) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, false
	}
	decoded := make([]byte, strictBase64.DecodedLen(len(text)))
	count, err := strictBase64.Decode(decoded, text)
	return decoded[:count], err == nil
}

// readClaims returns the claims of a token with a verified signature. It returns nil if one is
// missing or malformed, and false if the token is for another issuer or audience.
func (t *parsedToken) readClaims(issuer, audience string) (*claims, bool) {
	text, ok := decodeBase64(t.claims)
	if !ok {
		return nil, true
	}
	members, ok := parseObject(text)
	if !ok {
		return nil, true
	}
	texts := map[string]string{}
	for _, name := range []string{"iss", "aud", "sub", "sid", "jti"} {
		if texts[name], ok = members[name].(string); !ok {
			return nil, true
		}
	}
	issued, okIssued := instantOf(members["iat"])
	expires, okExpires := instantOf(members["exp"])
	if !okIssued || !okExpires {
		return nil, true
	}
	if texts["iss"] != issuer || texts["aud"] != audience {
		return nil, false
	}
	user, errUser := ParseUUID(texts["sub"])
	session, errSession := ParseUUID(texts["sid"])
	if _, err := ParseUUID(texts["jti"]); err != nil || errUser != nil || errSession != nil {
		return nil, true
	}
	return &claims{user, session, issued, expires}, true
}

func instantOf(value any) (int64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	// Digits only: no sign, fraction or exponent.
	instant, err := json.Number(number).Int64()
	return instant, err == nil && instant >= 0 && instant <= maxInstant && number[0] != '-'
}

var errJSON = errors.New("invalid JSON")

// parseObject decodes a JSON object. It refuses members that occur twice, at any depth, and text
// that is not valid UTF-8 or contains half of a surrogate pair.
func parseObject(text []byte) (map[string]any, bool) {
	if !json.Valid(text) || !utf8.Valid(text) || hasLoneSurrogate(text) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := parseValue(decoder, 0)
	if err != nil {
		return nil, false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, false
	}
	object, ok := value.(map[string]any)
	return object, ok
}

func parseValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil || depth > maxDepth {
		return nil, errJSON
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for decoder.More() {
			key, err := decoder.Token()
			name, ok := key.(string)
			if _, exists := object[name]; err != nil || !ok || exists {
				return nil, errJSON
			}
			if object[name], err = parseValue(decoder, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = decoder.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			value, err := parseValue(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = decoder.Token()
		return list, err
	}
	return token, nil
}

// hasLoneSurrogate tells whether a text contains an escape of half a surrogate pair, for which Go
// substitutes U+FFFD.
func hasLoneSurrogate(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if i++; i >= len(text) || text[i] != 'u' {
			continue
		}
		unit, ok := unitAt(text, i+1)
		if !ok || unit < 0xD800 || unit > 0xDFFF {
			continue
		}
		if i+6 >= len(text) || unit > 0xDBFF || text[i+5] != '\\' || text[i+6] != 'u' {
			return true
		}
		if low, ok := unitAt(text, i+7); !ok || low < 0xDC00 || low > 0xDFFF {
			return true
		}
		i += 10
	}
	return false
}

// unitAt reads four hexadecimal digits.
func unitAt(text []byte, at int) (uint16, bool) {
	if at+4 > len(text) {
		return 0, false
	}
	var unit uint16
	for _, digit := range text[at : at+4] {
		switch {
		case digit >= '0' && digit <= '9':
			unit = unit<<4 | uint16(digit-'0')
		case digit|0x20 >= 'a' && digit|0x20 <= 'f':
			unit = unit<<4 | uint16(digit|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return unit, true
}
