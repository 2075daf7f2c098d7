package userservice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// VerifierConfig is the configuration of a Verifier. The zero value of a field stands for its
// default.
type VerifierConfig struct {
	// Issuer and Audience are the expected claims iss and aud: JWT_ISSUER and JWT_AUDIENCE of the
	// service. The default of both is "user-service". The service is asked about a genuine token
	// with another issuer or audience, so a wrong value rejects no token that the service accepts,
	// and costs a call for each. The first such token is logged (Config.Logger).
	Issuer, Audience string
	// AgeLimit is the age of the revocations from which on the service is asked for every token;
	// 5 s by default. Its answer is not used if its own knowledge is older than that. With a
	// service that signs with HS256, its STALE_LIMIT counts instead.
	AgeLimit time.Duration
	// Wait is the time for which a server waits for a revocation before it answers; 300 ms by
	// default, and 5 s at most. The server sends a revocation at once, whatever this time is.
	Wait time.Duration
	// CachedTokens is the number of tokens of which the signature is verified only once; 100,000 by
	// default.
	CachedTokens int
	// MaxRevocations is the number of revocations that are stored; 1,000,000 by default. If the
	// service has more, it is asked for every token.
	MaxRevocations int
	// AskTimeout limits the time for asking the service about one token; 3 s by default.
	AskTimeout time.Duration
	// MaxAsking is the number of tokens about which the service is asked at the same time; 128 by
	// default. Further ones wait, up to AskTimeout.
	MaxAsking int
	// MaxWaiting is the number of tokens that wait for that; 4,096 by default. The error of further
	// ones is ErrUnavailable at once.
	MaxWaiting int
}

// maxNumber is the largest number of a configuration, so that no sum of them overflows.
const maxNumber = 1 << 30

func (c VerifierConfig) withDefaults() VerifierConfig {
	text := func(value *string) {
		if *value == "" {
			*value = "user-service"
		}
	}
	duration := func(value *time.Duration, usual time.Duration) {
		if *value <= 0 {
			*value = usual
		}
		if *value > maxDuration {
			*value = maxDuration
		}
	}
	number := func(value *int, usual int) {
		if *value <= 0 {
			*value = usual
		}
		if *value > maxNumber {
			*value = maxNumber
		}
	}
	text(&c.Issuer)
	text(&c.Audience)
	duration(&c.AgeLimit, 5*time.Second)
	duration(&c.Wait, 300*time.Millisecond)
	duration(&c.AskTimeout, defaultAskTimeout)
	number(&c.CachedTokens, 100_000)
	number(&c.MaxRevocations, 1_000_000)
	number(&c.MaxAsking, defaultMaxAsking)
	number(&c.MaxWaiting, defaultMaxWaiting)
	if c.Wait > maxWait {
		c.Wait = maxWait
	}
	return c
}

// A Verifier checks access tokens in memory, and still notices a revocation within a second.
//
// It follows the keys and the revocations of the service. While these are complete and not older
// than VerifierConfig.AgeLimit, it checks tokens in memory. Otherwise, and with a service that
// signs tokens with HS256, the same call asks the service. If that fails too, the error is
// ErrUnavailable: never ErrTokenInvalid, and never a valid token.
//
// Tokens expire by the time of the service, not by the clock of this machine.
type Verifier struct {
	client *Client
	local  *localState
	task   *task
	asker  *asker
	stop   context.CancelFunc
	closed sync.Once
}

// NewVerifier creates a verifier, which follows the service until Close, or until the client is
// closed. A server answers one watch per connection, so a client has one verifier at a time: a
// second one is an error.
//
// The error is ErrPlaintext if a connection would cross a network in plain text and
// Config.AllowPlaintext is not set: whoever can replace the keys can forge tokens.
func NewVerifier(client *Client, config VerifierConfig) (*Verifier, error) {
	if err := client.misuse(context.Background()); err != nil {
		return nil, err
	}
	if err := client.plaintextError(); err != nil {
		return nil, err
	}
	if client.stopped.Err() != nil {
		return nil, callError(ErrClosed, nil, NotDone)
	}
	if !client.hasVerifier.CompareAndSwap(false, true) {
		return nil, callError(ErrInvalidRequest, errors.New(
			"the client has a verifier already: use that one, close it first, or make another client"), NotDone)
	}
	config = config.withDefaults()
	ctx, stop := context.WithCancel(client.stopped)
	local := newLocalState(config)
	local.logger = client.config.Logger
	return &Verifier{
		client: client,
		local:  local,
		task:   startTask(ctx, client, local),
		asker:  newAsker(client, config),
		stop:   stop,
	}, nil
}

// isMissing tells whether there is no verifier.
func (v *Verifier) isMissing() bool {
	return v == nil || v.local == nil
}

var errNoVerifier = errors.New("expected a verifier that NewVerifier has returned")

// Verify checks a token: in memory if possible, otherwise by asking the service. The error is a
// *VerifyError. The options concern the call to the service, if there is one.
func (v *Verifier) Verify(ctx context.Context, token Secret, options ...CallOption) (Verified, error) {
	if v.isMissing() {
		return Verified{}, &VerifyError{ErrInvalidRequest, errNoVerifier}
	}
	if verified, err, decided := v.local.check(token.raw()); decided {
		if err == nil {
			v.client.outage.answered(sourceAsk)
		}
		return verified, err
	}
	return v.ask(ctx, token, options)
}

// VerifyLocal checks a token in memory, without waiting. It returns false if the service must be
// asked, with Verify.
func (v *Verifier) VerifyLocal(token Secret) (verified Verified, err error, decided bool) {
	return v.local.check(token.raw())
}

// ask asks the service about a token.
func (v *Verifier) ask(ctx context.Context, token Secret, options []CallOption) (Verified, error) {
	parsed := parseToken(token.raw())
	if parsed == nil || v.local.keys.isRevoked(parsed.kid) {
		// Nothing that the service could accept, or that it may still accept.
		v.local.counters.invalid.Add(1)
		return Verified{}, &VerifyError{Reason: ErrTokenInvalid}
	}
	v.local.counters.asked.Add(1)
	var verified Verified
	reply, err := v.asker.ask(ctx, token, options)
	if err == nil {
		verified, err = v.local.judge(parsed.kid, reply)
	}
	if errors.Is(err, ErrUnavailable) {
		v.local.counters.unavailable.Add(1)
	}
	return verified, err
}

// Ready tells whether tokens are checked in memory.
func (v *Verifier) Ready() bool {
	return v.local.isReady()
}

// WaitUntilComplete waits until the keys and all revocations have arrived, or ctx ends. A service
// that signs tokens with HS256 has no public keys, so the verifier is not Ready even then.
//
// If ctx ends, the error is ErrDeadline, and contains the last error of the connection.
func (v *Verifier) WaitUntilComplete(ctx context.Context) error {
	if v.isMissing() {
		return callError(ErrInvalidRequest, errNoVerifier, NotDone)
	}
	for {
		v.task.mu.Lock()
		changed := v.task.changed
		v.task.mu.Unlock()
		if _, complete := v.local.age(); complete {
			return nil
		}
		select {
		case <-changed:
		case <-v.task.stopped.Done():
			return callError(ErrClosed, errors.New("the verifier does not follow the service any more"), NotDone)
		case <-ctx.Done():
			last := v.task.lastError()
			if last == nil {
				last = v.client.nodes.lastError()
			}
			if last == nil {
				last = errors.New("the service has not answered yet")
			}
			return callError(ErrDeadline, fmt.Errorf(
				"%w while waiting for the keys and the revocations of the service; the last error: %s", ctx.Err(), brief(last)), NotDone)
		}
	}
}

// VerifierStatus is the state of a verifier, with counters that start with 0 when it is created.
type VerifierStatus struct {
	// Ready tells whether tokens are checked in memory.
	Ready bool
	// Complete tells whether all revocations have arrived, and Age how old they are then.
	Complete bool
	Age      time.Duration
	// Keys is the number of public keys. It is 0 if the service signs tokens with HS256.
	Keys         int
	Revocations  int
	CachedTokens int
	// Valid, Invalid, Expired and Revoked count the results of checks in memory.
	Valid, Invalid, Expired, Revoked uint64
	CacheHits                        uint64
	// Asked counts the tokens about which the service was asked, and Unavailable those without an
	// answer that could be used.
	Asked, Unavailable uint64
	// LastError is the error of the last call for keys or revocations; nil if it succeeded.
	LastError error
}

// Status returns the state and the counters.
func (v *Verifier) Status() VerifierStatus {
	age, complete := v.local.age()
	counters := &v.local.counters
	return VerifierStatus{
		Ready:        v.local.isReady(),
		Complete:     complete,
		Age:          age,
		Keys:         len(v.local.keys.current()),
		Revocations:  v.local.revocations.count(),
		CachedTokens: v.local.cache.count(),
		Valid:        counters.valid.Load(),
		Invalid:      counters.invalid.Load(),
		Expired:      counters.expired.Load(),
		Revoked:      counters.revoked.Load(),
		CacheHits:    counters.cacheHits.Load(),
		Asked:        counters.asked.Load(),
		Unavailable:  counters.unavailable.Load(),
		LastError:    v.task.lastError(),
	}
}

// Close stops following the service. Later checks ask it once the revocations are over the age
// limit. The client stays open.
func (v *Verifier) Close() {
	v.closed.Do(func() {
		v.stop()
		v.task.ended.Wait()
		v.client.outage.forget()
		v.client.hasVerifier.Store(false)
	})
}
