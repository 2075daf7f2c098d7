// Verifies an access token with golang-jwt: verify JWKS TOKEN. Prints the user and the session.
package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"

	"github.com/golang-jwt/jwt"
)

type key struct{ Kty, Kid, Alg, X, Y string }

func decode(text string) []byte {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes
}

func (k key) public() interface{} {
	if k.Kty == "OKP" {
		return ed25519.PublicKey(decode(k.X))
	}
	number := func(text string) *big.Int { return new(big.Int).SetBytes(decode(text)) }
	return &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(k.X), Y: number(k.Y)}
}

func main() {
	read := func(index int) []byte {
		bytes, err := os.ReadFile(os.Args[index])
		if err != nil {
			panic(err)
		}
		return bytes
	}
	var set struct{ Keys []key }
	if err := json.Unmarshal(read(1), &set); err != nil {
		panic(err)
	}
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(string(read(2)), claims, func(token *jwt.Token) (interface{}, error) {
		for _, k := range set.Keys {
			if k.Kid == token.Header["kid"] && k.Alg == token.Method.Alg() {
				return k.public(), nil
			}
		}
		return nil, fmt.Errorf("unknown key")
	})
	if err != nil || !claims.VerifyIssuer("user-service", true) || !claims.VerifyAudience("user-service", true) {
		fmt.Fprintln(os.Stderr, "invalid:", err)
		os.Exit(1)
	}
	fmt.Println(claims["sub"], claims["sid"])
}
