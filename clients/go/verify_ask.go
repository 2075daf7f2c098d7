package userservice

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	defaultAskTimeout = 3 * time.Second
	defaultMaxAsking  = 128
	defaultMaxWaiting = 4_096
)

var errTooManyTokens = errors.New("too many tokens wait to be asked about")

// asker asks the service about tokens: about a limited number at the same time, and for a limited
// time each.
type asker struct {
	client  *Client
	timeout time.Duration
	asking  chan struct{}
	waits   chan struct{}
}

func newAsker(client *Client, config VerifierConfig) *asker {
	return &asker{
		client:  client,
		timeout: config.AskTimeout,
		asking:  make(chan struct{}, config.MaxAsking),
		waits:   make(chan struct{}, config.MaxAsking+config.MaxWaiting),
	}
}

// ask returns the reply of the service about a token that it accepts. The error is a *VerifyError.
func (a *asker) ask(ctx context.Context, token Secret, options []CallOption) (*TokenVerified, error) {
	if err := a.client.misuse(ctx); err != nil {
		return nil, a.mistake(verifyErrorOf(err))
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	select {
	case a.waits <- struct{}{}:
		defer func() { <-a.waits }()
	default:
		return nil, &VerifyError{ErrUnavailable, errTooManyTokens}
	}
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-ctx.Done():
		err := fmt.Errorf("%w while the service is asked about %d other tokens", ctx.Err(), cap(a.asking))
		return nil, &VerifyError{ErrUnavailable, callError(ErrDeadline, err, NotDone)}
	}
	reply, err := a.client.VerifyToken(ctx, VerifyToken{AccessToken: token}, options...)
	if err == nil {
		a.client.outage.answered(sourceAsk)
		return reply, nil
	}
	judged := verifyErrorOf(err)
	switch {
	case isMistake(judged):
		return nil, a.mistake(judged)
	case judged.Reason != ErrUnavailable:
		a.client.outage.answered(sourceAsk)
	case caller.Err() == nil && a.client.stopped.Err() == nil:
		// A caller that gives up early says nothing about the service.
		a.client.outage.failed(sourceAsk, err)
	}
	return nil, judged
}

// mistake logs a mistake of the program, which Middleware answers with 500 and nothing else.
func (a *asker) mistake(err *VerifyError) error {
	a.client.outage.warn("userservice: a token cannot be checked: " + printable(brief(err)))
	return err
}
