package userservice

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// watchTimeout is the time after the waiting time of a WatchRevocations in which one of the
	// nodes must answer.
	watchTimeout = 2 * time.Second
	// lateAfter is the time after the waiting time for which a node that answers late is still not
	// slow, in addition to Config.SlowAfter. Another node answers from the start.
	lateAfter   = 100 * time.Millisecond
	keysTimeout = 5 * time.Second
	// outdatedInterval is the shortest time between two calls of GetKeys because of tokens that do
	// not fit the last answer.
	outdatedInterval = 10 * time.Second
	// movedInterval is the shortest time between two calls of GetKeys because another node, or
	// another run of it, is followed.
	movedInterval = time.Second
	// minInterval is the shortest time between two requests if the first brought nothing, so that a
	// server that does not wait is not asked in a busy loop.
	minInterval    = 10 * time.Millisecond
	expireInterval = 10 * time.Second
)

// watchBackoff are the shortest and the longest wait after a failed call.
var watchBackoff = [2]time.Duration{50 * time.Millisecond, 500 * time.Millisecond}

// task calls GetKeys and WatchRevocations, each at most once at a time.
type task struct {
	client   *Client
	local    *localState
	stopped  context.Context
	loaded   chan struct{} // closed when the keys have arrived
	wakeKeys chan struct{}
	ended    sync.WaitGroup

	// mu also protects the follower.
	mu       sync.Mutex
	follower *follower
	keysDue  time.Time
	keysAt   time.Time // of the last call
	outdated time.Time // of the last call because of a token
	followed *conn     // the source of the last revocations, unless a call has failed since
	keysFrom *conn     // the source of the current keys
	keysErr  error
	watchErr error
	changed  chan struct{} // closed after every answer

	warnTrust sync.Once
}

func startTask(ctx context.Context, client *Client, local *localState) *task {
	t := &task{
		client:   client,
		local:    local,
		stopped:  ctx,
		loaded:   make(chan struct{}),
		wakeKeys: make(chan struct{}, 1),
		follower: &follower{local: local},
		changed:  make(chan struct{}),
	}
	t.ended.Add(2)
	go t.followKeys()
	go t.followRevocations()
	return t
}

// poll calls the service. It returns the attempts that were answered.
func (t *task) poll(request requestMessage, wait, limit time.Duration) (*attempts, error) {
	t.mu.Lock()
	last := t.followed
	if last == nil {
		last = t.keysFrom
	}
	t.mu.Unlock()
	return t.client.do(t.stopped, limit, &attempts{request: request, prefer: last, isPoll: true}, wait)
}

func (t *task) followKeys() {
	defer t.ended.Done()
	failures := 0
	isLoaded := false
	for t.stopped.Err() == nil {
		t.mu.Lock()
		t.keysAt = time.Now()
		t.keysDue = t.keysAt.Add(maxRefresh)
		t.mu.Unlock()
		answered, err := t.poll(&GetKeys{}, 0, keysTimeout)
		t.mu.Lock()
		var wait time.Duration
		if err == nil {
			var ok bool
			wait, ok = t.follower.applyKeys(answered.reply.(*Keys), answered.sent, time.Now())
			if ok {
				t.keysFrom = answered.conn
			} else {
				err = errors.New("userservice: the reply to GetKeys contains no JWK Set")
			}
		} else if isNotPermitted(err) {
			t.follower.applyNotPermitted()
		}
		if err != nil {
			wait = backoff(&failures)
		} else if failures = 0; !isLoaded {
			isLoaded = true
			close(t.loaded)
		}
		t.keysErr = err
		t.report(sourceKeys, err)
		// A key that was revoked in the meantime may have made the next call due.
		t.wantKeys(time.Now().Add(wait))
		t.mu.Unlock()
		t.waitUntilDue()
	}
}

func (t *task) waitUntilDue() {
	for {
		t.mu.Lock()
		left := time.Until(t.keysDue)
		t.mu.Unlock()
		if left <= 0 || t.stopped.Err() != nil {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-t.wakeKeys:
		case <-t.local.keysOutdated:
			t.mu.Lock()
			if now := time.Now(); t.outdated.Before(now) {
				// At once, but not more often than the interval allows.
				if next := t.outdated.Add(outdatedInterval); next.After(now) {
					now = next
				}
				t.outdated = now
				t.wantKeys(now)
			}
			t.mu.Unlock()
		case <-t.stopped.Done():
		}
		timer.Stop()
	}
}

// wantKeys makes the next GetKeys due at this time, unless it is due earlier. The lock is held.
func (t *task) wantKeys(at time.Time) {
	if at.Before(t.keysDue) {
		t.keysDue = at
		signal(t.wakeKeys)
	}
}

func (t *task) followRevocations() {
	defer t.ended.Done()
	// Without keys, the service is asked about each token.
	select {
	case <-t.loaded:
	case <-t.stopped.Done():
		return
	}
	wait := t.local.config.Wait
	failures, expiredAt := 0, time.Now()
	for t.stopped.Err() == nil {
		t.mu.Lock()
		if now := time.Now(); now.Sub(expiredAt) >= expireInterval {
			expiredAt = now
			t.follower.expire(now)
		}
		round := t.follower.round
		request := &WatchRevocations{Cursor: t.follower.cursor, Wait: wait}
		t.mu.Unlock()
		answered, err := t.poll(request, wait+lateAfter, wait+watchTimeout)
		received := time.Now()
		var pause time.Duration
		t.mu.Lock()
		if err != nil {
			// Nothing is wrong with a server that shuts down: the next attempt connects to another
			// one, or to the same one again.
			t.followed = nil
			server, ok := err.(*ServerError)
			isDrain := ok && server.Code == CodeShuttingDown && failures == 0
			if pause = backoff(&failures); isDrain {
				pause = 0
			}
		} else {
			failures = 0
			reply := answered.reply.(*Revocations)
			if t.follower.applyRevocations(reply, round, answered.sent, received) {
				t.wantKeys(received)
			}
			t.followed = answered.conn
			if t.keysFrom != t.followed {
				// Another node, or one that was started again, may have other keys.
				at := t.keysAt.Add(movedInterval)
				if at.Before(received) {
					at = received
				}
				t.wantKeys(at)
			}
			if len(reply.Entries) == 0 && received.Sub(answered.sent) < minInterval {
				pause = minInterval
			}
		}
		t.watchErr = err
		t.report(sourceWatch, err)
		t.mu.Unlock()
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-t.stopped.Done():
			}
		}
	}
}

// report wakes up those who wait for an answer, and logs an outage. The lock is held.
func (t *task) report(source source, err error) {
	close(t.changed)
	t.changed = make(chan struct{})
	outage := t.client.outage
	switch {
	case t.stopped.Err() != nil:
	case isNotPermitted(err):
		// It is asked about each token.
		outage.answered(source)
		t.warnTrust.Do(func() {
			outage.logger.Printf("userservice: the service does not trust this client, and is asked about each token: %s", printable(brief(err)))
		})
	case err != nil:
		outage.failed(source, err)
	default:
		outage.answered(source)
		if t.local.isReady() {
			outage.answered(sourceAsk)
		}
	}
}

func isNotPermitted(err error) bool {
	server, ok := err.(*ServerError)
	return ok && server.Code == CodeNotPermitted
}

// lastError returns the error of the last call for keys or revocations, if one of them failed.
func (t *task) lastError() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keysErr != nil {
		return t.keysErr
	}
	return t.watchErr
}

// backoff returns the time to wait after a failed call, which doubles with every further failure.
func backoff(failures *int) time.Duration {
	wait := watchBackoff[0] << uint(*failures)
	if *failures >= 4 || wait > watchBackoff[1] {
		wait = watchBackoff[1]
	}
	*failures++
	return wait
}
