package userservice

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync/atomic"
	"time"
)

const (
	// maxBusy is the number of times that a request is sent if the answer is BUSY.
	maxBusy = 3
	// repeatRefreshWithin is the time in which a RefreshToken may be sent again: the 30 s of the
	// server, less a margin. Later, the server would treat the token as stolen.
	repeatRefreshWithin = 25 * time.Second
)

// lossBackoff are the waits before a request is sent again after its connection was lost twice.
var lossBackoff = [2]time.Duration{100 * time.Millisecond, time.Second}

// attempts are the attempts of one call, one after another.
type attempts struct {
	nodes   *nodes
	request requestMessage
	reply   replyMessage
	tags    common
	// prefer is the connection for the first attempt, if it is open.
	prefer *conn
	// isPoll is set if the node takes its time, and the request costs it nothing.
	isPoll bool

	avoid     map[*node]bool
	waiting   atomic.Pointer[node] // the node that has not answered yet
	conn      *conn                // the connection of the last attempt
	sent      time.Time            // the time before the last attempt was sent
	firstSent time.Time
	unknown   error // of an attempt that may have been executed
	last      error // of the last other attempt
	busy      int
	losses    int
}

// run sends the request until there is a reply, or an error after which another attempt could
// execute it twice.
func (a *attempts) run(ctx context.Context) error {
	for {
		target, c, err := a.connect(ctx)
		if err != nil {
			return a.ended(ctx, err, false)
		}
		if a.request.info().retry == retrySafeForAWhile && a.unknown != nil && !a.mayRepeat() {
			return a.unknown
		}
		sent := time.Now()
		p, err := c.send(ctx, a.request, func() *common { return a.tagsAt(ctx) }, false)
		if err != nil {
			return a.ended(ctx, err, false)
		}
		if p == nil {
			continue
		}
		a.conn, a.sent = c, sent
		if a.firstSent.IsZero() {
			a.firstSent = sent
		}
		if !a.isPoll {
			target.inFlight.Add(1)
		}
		a.waiting.Store(target)
		var answer result
		select {
		case answer = <-p.result:
		case <-ctx.Done():
			err = ctx.Err()
		}
		a.waiting.Store(nil)
		if !a.isPoll {
			target.inFlight.Add(-1)
		}
		if err != nil {
			return a.ended(ctx, err, !c.abandon(p))
		}
		if done, err := a.handle(ctx, target, c, answer); done || err != nil {
			return err
		}
	}
}

func (a *attempts) connect(ctx context.Context) (*node, *conn, error) {
	if one := a.nodes.of(a.prefer); one != nil && !a.avoid[one] {
		return one, a.prefer, nil
	}
	return a.nodes.connection(ctx, a.avoid, func(err error) { a.last = err })
}

// tagsAt returns the common tags with the time that remains, a little less than the client has.
func (a *attempts) tagsAt(ctx context.Context) *common {
	tags := a.tags
	if at, ok := ctx.Deadline(); ok {
		left := time.Until(at)
		margin := left / 20
		if margin > 50*time.Millisecond {
			margin = 50 * time.Millisecond
		}
		if left -= margin; left < time.Millisecond {
			left = time.Millisecond
		}
		tags.deadline = &left
	}
	return &tags
}

// handle returns true if the call is done, and false if the request is to be sent again.
func (a *attempts) handle(ctx context.Context, target *node, c *conn, answer result) (bool, error) {
	switch answer.kind {
	case resultAnswered:
		if answer.frameKind == (*errorReply)(nil).kind() {
			return false, a.refused(ctx, target, c, answer.body)
		}
		return true, a.read(answer)
	case resultNotSent:
		return false, nil
	case resultRejected:
		a.giveWay(target, answer.err)
		if !a.nodes.anyOutside(a.avoid) {
			// Another attempt would fail in the same way.
			return false, a.final(answer.err)
		}
		return false, nil
	case resultClosed:
		return false, a.connectionRefused(ctx, target, answer)
	}
	return false, a.repeat(ctx, callError(ErrConnectionLost, answer.err, Unknown))
}

func (a *attempts) read(answer result) error {
	if answer.frameKind != a.reply.kind() {
		return callError(ErrBadReply, fmt.Errorf("type 0x%02X", answer.frameKind), Unknown)
	}
	if err := decodeBody(answer.body, a.reply); err != nil {
		return callError(ErrBadReply, err, Unknown)
	}
	return nil
}

// refused handles an error with the id of the request.
func (a *attempts) refused(ctx context.Context, target *node, c *conn, body []byte) error {
	reply := new(errorReply)
	if err := decodeBody(body, reply); err != nil {
		return callError(ErrBadReply, err, Unknown)
	}
	failure := newServerError(reply)
	switch info := failure.Code.info(); {
	case failure.Code == CodeShuttingDown:
		c.drain()
		a.giveWay(target, failure)
		return nil
	case info.isForClient:
		a.avoid[target] = true
		return a.busyAgain(ctx, failure)
	case info.outcome == Unknown && failure.Code != CodeDeadlineExceeded && a.mayAskAnother(target):
		if a.unknown == nil {
			a.unknown = failure
		}
		return nil
	default:
		return a.final(failure)
	}
}

// mayAskAnother tells whether another node may be able to answer what this one could not.
func (a *attempts) mayAskAnother(target *node) bool {
	a.avoid[target] = true
	return a.mayRepeat() && a.nodes.isConnectedOutside(a.avoid)
}

// busyAgain waits before the request is sent again, or gives up.
func (a *attempts) busyAgain(ctx context.Context, failure *ServerError) error {
	a.busy++
	wait := failure.Wait()
	wait += time.Duration(rand.Int63n(int64(wait)/2 + 1))
	if at, ok := ctx.Deadline(); a.busy >= maxBusy || ok && wait >= time.Until(at) {
		return a.final(failure)
	}
	a.last = failure
	return a.sleep(ctx, wait)
}

// connectionRefused handles an error with request id 0.
func (a *attempts) connectionRefused(ctx context.Context, target *node, answer result) error {
	failure := newServerError(answer.reply)
	switch {
	case failure.Code == CodeBusy && answer.isFirst:
		// The next attempt to connect waits.
		a.giveWay(target, failure)
		if a.busy++; a.busy >= maxBusy {
			return a.final(failure)
		}
		return nil
	case failure.Code.concernsFrames():
		return withOutcome(failure, Unknown)
	}
	return a.repeat(ctx, withOutcome(failure, Unknown))
}

// repeat prepares for sending the request again after an unknown outcome, or gives up.
func (a *attempts) repeat(ctx context.Context, err error) error {
	a.unknown = err
	if !a.mayRepeat() {
		return err
	}
	if a.losses++; a.losses == 1 {
		return nil
	}
	wait := lossBackoff[1]
	if a.losses < 6 {
		wait = lossBackoff[0] << (a.losses - 2)
	}
	return a.sleep(ctx, wait)
}

func (a *attempts) mayRepeat() bool {
	switch a.request.info().retry {
	case retrySafe:
		return true
	case retrySafeForAWhile:
		if a.firstSent.IsZero() || time.Since(a.firstSent) < repeatRefreshWithin {
			return true
		}
	}
	return a.tags.idempotencyKey != nil
}

func (a *attempts) giveWay(target *node, err error) {
	a.avoid[target] = true
	a.last = err
}

func (a *attempts) sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return a.ended(ctx, ctx.Err(), false)
	}
}

// final returns the error of the call. An earlier attempt may have been executed.
func (a *attempts) final(err error) error {
	if a.unknown != nil && OutcomeOf(err) == NotDone {
		return withOutcome(err, Unknown)
	}
	return err
}

// ended returns the error of a call that ended before an answer. `sent` is set if the current
// attempt may be executed.
func (a *attempts) ended(ctx context.Context, err error, sent bool) error {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return a.final(err)
	}
	switch {
	case sent:
		return callError(ErrDeadline, err, Unknown)
	case a.unknown != nil:
		return callError(ErrDeadline, fmt.Errorf("%w; %s", err, brief(a.unknown)), Unknown)
	case a.last != nil:
		if failure := new(ServerError); errors.As(a.last, &failure) {
			return failure
		}
		return callError(ErrDeadline, fmt.Errorf("%w; %s", err, brief(a.last)), NotDone)
	}
	return callError(ErrDeadline, err, NotDone)
}
