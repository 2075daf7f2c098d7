package userservice

import (
	"context"
	"errors"
	"time"
)

// drain stops sending requests, because the server executes no further ones.
func (c *conn) drain() {
	c.mu.Lock()
	c.draining = true
	c.mu.Unlock()
	c.retire()
}

// retire stops accepting requests. Those that were not given to the writer are not sent.
func (c *conn) retire() {
	c.mu.Lock()
	if c.phase != phaseOpen {
		c.mu.Unlock()
		return
	}
	c.phase = phaseRetired
	unsent := c.queue
	c.queue, c.queuedBytes = nil, 0
	for _, p := range unsent {
		delete(c.pending, p.id)
	}
	c.mu.Unlock()
	c.inFlight.close()
	c.hashing.close()
	for _, p := range unsent {
		c.free(p)
		p.result <- result{kind: resultNotSent}
	}
	signal(c.wake)
	c.onChange(c)
	c.closeIfDone()
}

// retireIfStuck retires the connection if the reply to an abandoned request is overdue. Otherwise
// such requests would occupy their slots forever.
func (c *conn) retireIfStuck() {
	c.mu.Lock()
	stuck := false
	for _, p := range c.pending {
		stuck = stuck || p.abandoned && time.Since(p.since) > abandonedAfter
	}
	c.mu.Unlock()
	if stuck {
		c.retire()
	}
}

// isAwaited tells whether a call waits for a reply. The lock is held.
func (c *conn) isAwaited() bool {
	for _, p := range c.pending {
		if !p.own && !p.abandoned {
			return true
		}
	}
	return false
}

var errClosedByClient = errors.New("the client closed the connection")

// closeIfDone closes a retired connection that owes no call a reply.
func (c *conn) closeIfDone() {
	c.mu.Lock()
	done := c.phase == phaseRetired && !c.isAwaited()
	c.mu.Unlock()
	if done {
		c.close(result{kind: resultLost, err: errClosedByClient})
	}
}

// close closes the connection, and reports the outcome to every call that waits.
func (c *conn) close(reason result) {
	c.retire()
	c.mu.Lock()
	if c.phase == phaseClosed {
		c.mu.Unlock()
		return
	}
	c.phase = phaseClosed
	c.mu.Unlock()
	// Without the lock, because TLS may try to write for 5 s. An error of closing changes nothing.
	_ = c.sock.Close()
	c.mu.Lock()
	for c.writing {
		// The server may have received what the writer has not reported yet.
		progress := c.progress
		c.mu.Unlock()
		<-progress
		c.mu.Lock()
	}
	ended, written := c.pending, c.written
	c.pending = map[uint32]*pending{}
	c.mu.Unlock()
	close(c.closed)
	for _, p := range ended {
		if (!p.begun || p.end > written) && !reason.concernsUnsent() {
			p.result <- result{kind: resultNotSent}
		} else {
			p.result <- reason
		}
	}
	c.onChange(c)
}

// concernsUnsent tells whether the end of a connection concerns requests that were not written too:
// another connection would end in the same way, or has to wait first.
func (r result) concernsUnsent() bool {
	switch r.kind {
	case resultRejected:
		return true
	case resultClosed:
		return r.isFirst && r.reply.Code == CodeBusy || r.reply.Code.concernsFrames()
	}
	return false
}

// finish stops accepting requests. Those in the queue are still written until ctx ends, and the
// connection is closed after the last reply.
func (c *conn) finish(ctx context.Context) {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 || c.phase != phaseOpen {
			c.mu.Unlock()
			c.retire()
			return
		}
		progress := c.progress
		c.mu.Unlock()
		select {
		case <-progress:
		case <-c.closed:
		case <-time.After(time.Second):
			c.retire()
			return
		case <-ctx.Done():
			c.retire()
			return
		}
	}
}
