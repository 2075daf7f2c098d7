package userservice

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"sync"
	"sync/atomic"
)

const (
	// maxRevokedKeys is the number of revoked keys that are remembered.
	maxRevokedKeys = 10_000
	// maxKid is the longest kid of a key in bytes.
	maxKid = 256
)

// privateMembers are the members of a JWK that contain a secret or a private key.
var privateMembers = []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth"}

// publicKey is a public key with its only algorithm.
type publicKey struct {
	algorithm string
	bytes     string // to compare
	ed25519   ed25519.PublicKey
	ecdsa     *ecdsa.PublicKey
}

// readKey reads a JWK. It returns nil if it is not a public key for signatures of a known algorithm.
func readKey(jwk map[string]any) (string, *publicKey) {
	text := func(name string) string {
		value, ok := jwk[name].(string)
		if !ok {
			return ""
		}
		return value
	}
	for _, name := range privateMembers {
		if _, exists := jwk[name]; exists {
			return "", nil
		}
	}
	kid := text("kid")
	if kid == "" || len(kid) > maxKid || text("use") != "sig" || !mayVerify(jwk) {
		return "", nil
	}
	coordinate := func(name string) []byte {
		decoded, ok := decodeBase64([]byte(text(name)))
		if !ok || len(decoded) != 32 {
			return nil
		}
		return decoded
	}
	switch [3]string{text("kty"), text("crv"), text("alg")} {
	case [3]string{"OKP", "Ed25519", "EdDSA"}:
		if x := coordinate("x"); x != nil && isStrictPoint(x) {
			return kid, &publicKey{algorithm: "EdDSA", bytes: string(x), ed25519: x}
		}
	case [3]string{"EC", "P-256", "ES256"}:
		x, y := coordinate("x"), coordinate("y")
		if x == nil || y == nil {
			return "", nil
		}
		key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		if isOnP256(key.X, key.Y) {
			return kid, &publicKey{algorithm: "ES256", bytes: string(x) + string(y), ecdsa: key}
		}
	}
	return "", nil
}

func mayVerify(jwk map[string]any) bool {
	operations, exists := jwk["key_ops"]
	if !exists {
		return true
	}
	list, _ := operations.([]any)
	for _, operation := range list {
		if operation == "verify" {
			return true
		}
	}
	return false
}

// isOnP256 tells whether y^2 = x^3 - 3x + b, with both coordinates below the prime.
func isOnP256(x, y *big.Int) bool {
	curve := elliptic.P256().Params()
	if x.Cmp(curve.P) >= 0 || y.Cmp(curve.P) >= 0 {
		return false
	}
	right := new(big.Int).Mul(x, x)
	right.Sub(right, big.NewInt(3))
	right.Mul(right, x)
	right.Add(right, curve.B)
	right.Mod(right, curve.P)
	left := new(big.Int).Mul(y, y)
	return left.Mod(left, curve.P).Cmp(right) == 0
}

// verify tells whether a signature is one of a message with this key.
func (k *publicKey) verify(message, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	if k.ecdsa != nil {
		digest := sha256.Sum256(message)
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(k.ecdsa, digest[:], r, s)
	}
	// crypto/ed25519 refuses S >= L, and compares R byte for byte.
	return isStrictPoint(signature[:32]) && ed25519.Verify(k.ed25519, message, signature)
}

// keySet are the public keys of one answer, by kid.
type keySet map[string]*publicKey

// parseKeys reads a JWK Set. Keys that cannot be used are left out, and so are different keys with
// the same kid. It returns nil if the text is not a JWK Set.
func parseKeys(jwks string) keySet {
	set, ok := parseObject([]byte(jwks))
	if !ok {
		return nil
	}
	rows, ok := set["keys"].([]any)
	if !ok {
		return nil
	}
	keys, ambiguous := keySet{}, map[string]bool{}
	for _, row := range rows {
		jwk, _ := row.(map[string]any)
		kid, key := readKey(jwk)
		if key == nil {
			continue
		}
		if other := keys[kid]; other != nil && !other.equals(key) {
			ambiguous[kid] = true
		}
		keys[kid] = key
	}
	for kid := range ambiguous {
		delete(keys, kid)
	}
	return keys
}

func (k *publicKey) equals(other *publicKey) bool {
	return other != nil && k.algorithm == other.algorithm && k.bytes == other.bytes
}

// keyring are the current keys. Only the follower changes them.
//
// The generation is increased after a key was dropped. A reader loads it before the keys: then a
// signature that it verifies with a dropped key is cached under the old generation, and is not
// found there by anyone who has seen the new one.
type keyring struct {
	generation atomic.Uint64
	mu         sync.RWMutex
	set        keySet // nil before the first answer; not changed once it is set
	revoked    map[string]bool
}

func (k *keyring) current() keySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.set
}

func (k *keyring) isRevoked(kid string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.revoked[kid]
}

// replace replaces the keys, except for revoked ones. It returns true if a key was dropped.
func (k *keyring) replace(fresh keySet) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for kid := range fresh {
		if k.revoked[kid] {
			delete(fresh, kid)
		}
	}
	dropped := false
	for kid, key := range k.set {
		dropped = dropped || !key.equals(fresh[kid])
	}
	k.set = fresh
	if dropped {
		k.generation.Add(1)
	}
	return dropped
}

// revoke drops a key forever. It returns true if the key was not revoked before, and false as the
// second result if there are too many revoked keys to remember this one.
func (k *keyring) revoke(kid string) (isNew, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revoked[kid] {
		return false, true
	}
	if ok = len(k.revoked) < maxRevokedKeys; ok {
		if k.revoked == nil {
			k.revoked = map[string]bool{}
		}
		k.revoked[kid] = true
	}
	if k.set[kid] != nil {
		rest := keySet{}
		for other, key := range k.set {
			if other != kid {
				rest[other] = key
			}
		}
		k.set = rest
	}
	k.generation.Add(1)
	return ok, ok
}
