package userservice

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
)

type tokenVectors struct {
	AccessLife       int `json:"access_life"`
	Issuer, Audience string
	JWKS             json.RawMessage
	Now              int64
	Vectors          []struct{ Name, Description, Token, Verdict string }
}

// loadTokens returns the vectors, and a state that has their keys and no revocations.
func loadTokens(t testing.TB) (*tokenVectors, *follower) {
	t.Helper()
	text, err := os.ReadFile("../../user-proto/vectors/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	all := new(tokenVectors)
	if err := json.Unmarshal(text, all); err != nil {
		t.Fatal(err)
	}
	config := VerifierConfig{Issuer: all.Issuer, Audience: all.Audience, AgeLimit: time.Hour}
	f := &follower{local: newLocalState(config.withDefaults())}
	f.keys(t, all)
	f.answer(all, Revocations{})
	return all, f
}

func (f *follower) keys(t testing.TB, all *tokenVectors) {
	t.Helper()
	now := time.Unix(all.Now, 0)
	answer := &Keys{
		JWKS: string(all.JWKS), AccessLife: time.Duration(all.AccessLife) * time.Second,
		RefreshAfter: 5 * time.Minute, Now: &now,
	}
	at := time.Now()
	if wait, ok := f.applyKeys(answer, at, at); !ok || wait != 5*time.Minute {
		t.Fatal("the keys are refused")
	}
}

// answer applies an answer that has just been sent and received.
func (f *follower) answer(all *tokenVectors, answer Revocations) bool {
	at := time.Now()
	answer.Now = time.Unix(all.Now, 0).Add(at.Sub(f.local.start))
	return f.applyRevocations(&answer, f.round, at, at)
}

func (f *follower) verdict(token string) string {
	_, err, decided := f.local.check([]byte(token))
	switch {
	case !decided:
		return "ask"
	case err == nil:
		return "OK"
	case errors.Is(err, ErrTokenExpired):
		return "TOKEN_EXPIRED"
	case errors.Is(err, ErrTokenRevoked):
		return "SESSION_REVOKED"
	case errors.Is(err, ErrTokenInvalid):
		return "INVALID_TOKEN"
	}
	return err.Error()
}

func TestTokenVectors(t *testing.T) {
	all, f := loadTokens(t)
	// Twice: the second time, valid ones are in the cache.
	for round := 0; round < 2; round++ {
		for _, v := range all.Vectors {
			verdict := f.verdict(v.Token)
			if verdict == v.Verdict {
				continue
			}
			// The service decides on what depends on its settings.
			if verdict != "ask" {
				t.Errorf("%s (%s): %s instead of %s", v.Name, v.Description, verdict, v.Verdict)
			} else if round == 0 {
				t.Logf("the service is asked: %s (%s), expected %s", v.Name, v.Description, v.Verdict)
			}
		}
	}
	t.Logf("%d tokens", len(all.Vectors))
}
