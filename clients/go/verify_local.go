package userservice

import (
	"crypto/sha256"
	"log"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// incomplete is the value of completeAt while the revocations are not complete.
	incomplete = math.MinInt64
	// staleAfter is the age of the revocations over which a verdict states it.
	staleAfter = time.Second
)

// localState are the keys, revocations and cache of a verifier. The follower writes them.
//
// A check loads completeAt and keysUntil first, then looks into keys and revocations, and reads the clock last.
// The follower writes in the opposite order. So by the clock reading, the check has seen every
// revocation that the service knew at completeAt, whenever another goroutine runs in between.
type localState struct {
	config VerifierConfig
	start  time.Time
	// completeAt is the time at which the revocations were complete, in nanoseconds since start.
	completeAt atomic.Int64
	// keysUntil is the time until which the keys are used if they are not read again.
	keysUntil atomic.Int64
	// accessLife is the lifetime of an access token in seconds, as the service has stated it.
	accessLife atomic.Int64
	// hasUnknownEntry is set after an entry that this version does not understand.
	hasUnknownEntry atomic.Bool
	// isLeftToService is set if the service signs tokens with HS256, or does not let this client
	// verify tokens: then it alone decides how old its knowledge may be.
	isLeftToService atomic.Bool
	keys            keyring
	revocations     *revocations
	time            *serviceTime
	cache           *tokenCache
	counters        counters
	// keysOutdated gets a value when a token does not fit the last answer to GetKeys.
	keysOutdated chan struct{}
	logger       *log.Logger
	warnIssuer   sync.Once
}

// counters count checks in memory, and tokens about which the service was asked.
type counters struct {
	valid, invalid, expired, revoked, cacheHits, asked, unavailable atomic.Uint64
}

func newLocalState(config VerifierConfig) *localState {
	start := time.Now()
	l := &localState{
		config:       config,
		start:        start,
		revocations:  newRevocations(config.MaxRevocations),
		time:         newServiceTime(start),
		cache:        newTokenCache(config.CachedTokens),
		keysOutdated: make(chan struct{}, 1),
	}
	l.completeAt.Store(incomplete)
	return l
}

// setComplete declares that the set contains everything that the service knew at this time. Entries
// are never removed early, so an earlier statement stays true, and the later time counts.
func (l *localState) setComplete(at time.Time) {
	if fresh := int64(at.Sub(l.start)); fresh > l.completeAt.Load() {
		l.completeAt.Store(fresh)
	}
}

// setKeysUntil declares that the keys can be used until this time.
func (l *localState) setKeysUntil(until time.Time) {
	l.keysUntil.Store(int64(until.Sub(l.start)))
}

// limits are the times that limit the use of keys and revocations, as they were before a check
// looked at those.
type limits struct{ completeAt, keysUntil int64 }

func (l *localState) limits() limits {
	return limits{l.completeAt.Load(), l.keysUntil.Load()}
}

// ageBy returns the age of the revocations at the time of a later clock reading, and false if
// revocations or keys are too old.
func (l *localState) ageBy(known limits, now time.Time) (time.Duration, bool) {
	age := l.ageSince(known.completeAt, now)
	hasKeys := int64(now.Sub(l.start)) < known.keysUntil
	return age, known.completeAt != incomplete && hasKeys && age <= l.config.AgeLimit
}

// age returns the age of the revocations, or false while they are not complete.
func (l *localState) age() (time.Duration, bool) {
	at := l.completeAt.Load()
	if at == incomplete {
		return 0, false
	}
	return l.ageSince(at, time.Now()), true
}

func (l *localState) ageSince(completeAt int64, now time.Time) time.Duration {
	age := now.Sub(l.start) - time.Duration(completeAt)
	if age < 0 {
		age = 0
	}
	return age
}

// isReady tells whether tokens are checked in memory.
func (l *localState) isReady() bool {
	_, current := l.ageBy(l.limits(), time.Now())
	return current && len(l.keys.current()) > 0 && !l.hasUnknownEntry.Load()
}

// check checks a token in memory. The last result is false if the service must be asked.
func (l *localState) check(token []byte) (Verified, error, bool) {
	if len(token) > maxToken {
		l.counters.invalid.Add(1)
		return Verified{}, &VerifyError{Reason: ErrTokenInvalid}, true
	}
	known := l.limits()
	if known.completeAt == incomplete || l.hasUnknownEntry.Load() {
		return Verified{}, nil, false
	}
	generation := l.keys.generation.Load()
	digest := tokenDigest(sha256.Sum256(token))
	found, ok := l.cache.get(&digest, generation)
	if ok {
		l.counters.cacheHits.Add(1)
	} else {
		genuine, decided := l.verifySignature(token)
		switch {
		case !decided:
			return Verified{}, nil, false
		case genuine == nil:
			if _, current := l.ageBy(known, time.Now()); !current {
				return Verified{}, nil, false
			}
			l.counters.invalid.Add(1)
			return Verified{}, &VerifyError{Reason: ErrTokenInvalid}, true
		}
		found = *genuine
		l.cache.insert(&digest, cachedToken{found, generation})
	}
	isRevoked := l.revocations.contain(&found)
	now := time.Now()
	age, current := l.ageBy(known, now)
	if !current {
		return Verified{}, nil, false
	}
	switch l.time.check(&found, now) {
	case timingExpired:
		l.counters.expired.Add(1)
		return Verified{}, &VerifyError{Reason: ErrTokenExpired}, true
	case timingDisputed:
		return Verified{}, nil, false
	}
	if isRevoked {
		l.counters.revoked.Add(1)
		return Verified{}, &VerifyError{Reason: ErrTokenRevoked}, true
	}
	if found.expiresAt-found.issued > l.accessLife.Load() {
		// The service may have been given a longer lifetime.
		signal(l.keysOutdated)
		return Verified{}, nil, false
	}
	l.counters.valid.Add(1)
	verified := Verified{
		UserID:    found.user,
		SessionID: found.session,
		IssuedAt:  time.Unix(found.issued, 0).UTC(),
		ExpiresAt: time.Unix(found.expiresAt, 0).UTC(),
	}
	if age > staleAfter {
		verified.Stale = age
	}
	return verified, nil, true
}

// verifySignature returns the claims of a genuine token, or nil if it is not a token of this
// service. It returns false if the service must be asked.
func (l *localState) verifySignature(token []byte) (*claims, bool) {
	parsed := parseToken(token)
	if parsed == nil {
		return nil, true
	}
	key := l.keys.current()[parsed.kid]
	if key == nil {
		if l.keys.isRevoked(parsed.kid) {
			return nil, true
		}
		signal(l.keysOutdated)
		return nil, false
	}
	if parsed.alg != key.algorithm || !key.verify(parsed.signed, parsed.signature) {
		return nil, true
	}
	// With another issuer, the configuration of this verifier may be wrong: the service decides.
	known, isExpected := parsed.readClaims(l.config.Issuer, l.config.Audience)
	if !isExpected && l.logger != nil {
		l.warnIssuer.Do(func() {
			l.logger.Printf("userservice: the service signs tokens for another issuer than %q or another audience than %q, "+
				"and is asked about each: set Issuer and Audience of VerifierConfig to its JWT_ISSUER and JWT_AUDIENCE",
				l.config.Issuer, l.config.Audience)
		})
	}
	return known, isExpected
}

// judge returns the verdict on a token that the service accepts. What this verifier knows counts
// too: the node that answered may be behind the one that is followed.
func (l *localState) judge(kid string, reply *TokenVerified) (Verified, error) {
	verified := verifiedBy(reply)
	known := claims{reply.UserID, reply.SessionID, reply.IssuedAt.Unix(), reply.ExpiresAt.Unix()}
	switch {
	case l.keys.isRevoked(kid):
		return Verified{}, &VerifyError{Reason: ErrTokenInvalid}
	case l.revocations.contain(&known):
		return Verified{}, &VerifyError{Reason: ErrTokenRevoked}
	case verified.Stale > l.config.AgeLimit && !l.isLeftToService.Load():
		return Verified{}, &VerifyError{Reason: ErrUnavailable}
	}
	return verified, nil
}
