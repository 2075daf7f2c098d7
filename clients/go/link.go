package userservice

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"time"
)

// node is one address of the service, with its connection and what is known about its health. Its
// fields are protected by the lock of nodes, except for the counters.
type node struct {
	address string
	// slow is set from a request without a reply in time until a ping is answered in time.
	slow     atomic.Bool
	inFlight atomic.Int64

	conn       *conn
	retired    map[*conn]struct{} // connections that are not closed yet
	connecting bool
	failures   int // since the last success, for the wait
	next       time.Time
	err        error // of the last attempt to connect
	attempts   int   // failed attempts to connect in total
}

// nodes are all nodes of a client.
type nodes struct {
	config *Config
	all    []*node
	stop   context.Context

	mu      sync.Mutex
	changed chan struct{} // closed whenever a connection was established, retired or closed
	closed  bool
	turn    int
}

func newNodes(addresses []string, config *Config, stop context.Context) *nodes {
	n := &nodes{config: config, stop: stop, changed: make(chan struct{})}
	for _, address := range addresses {
		n.all = append(n.all, &node{address: address, retired: map[*conn]struct{}{}})
	}
	return n
}

// notify wakes up those who wait for a change. The lock is held.
func (n *nodes) notify() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// current returns the connection of a node if it accepts requests. The lock is held.
func (n *node) current() *conn {
	if n.conn != nil && n.conn.isOpen() {
		return n.conn
	}
	return nil
}

// connect begins to connect to a node if there is no connection. The lock is held.
func (n *nodes) connect(one *node) {
	if n.closed || one.connecting || one.current() != nil {
		return
	}
	one.connecting = true
	go n.attempt(one, time.Until(one.next))
}

func (n *nodes) attempt(one *node, wait time.Duration) {
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-n.stop.Done():
		}
	}
	ctx, cancel := context.WithTimeout(n.stop, n.config.ConnectTimeout)
	defer cancel()
	sock, err := dial(ctx, one.address, n.config.TLS)
	n.mu.Lock()
	defer n.mu.Unlock()
	one.connecting = false
	switch {
	case err == nil && n.closed:
		_ = sock.Close()
	case err == nil:
		one.err = nil
		one.conn = newConn(sock, n.config, func(c *conn) { n.connChanged(one, c) })
		one.conn.start()
	default:
		one.err = err
		one.attempts++
		n.countFailure(one)
	}
	n.notify()
}

// connChanged handles the retirement and the end of a connection.
func (n *nodes) connChanged(one *node, c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.mu.Lock()
	now, served, draining, retryAfter := c.phase, c.served, c.draining, c.retryAfter
	c.mu.Unlock()
	if one.conn == c && now != phaseOpen {
		one.conn = nil
		one.retired[c] = struct{}{}
		if served {
			one.failures = 0
		}
		switch {
		case retryAfter > 0:
			one.next = time.Now().Add(retryAfter + time.Duration(rand.Int63n(int64(retryAfter)/2+1)))
		case served && !draining:
			one.next = time.Time{}
		default:
			n.countFailure(one)
		}
	}
	if now == phaseClosed {
		delete(one.retired, c)
	}
	n.notify()
}

// countFailure doubles the wait before the next attempt, and reduces it at random by up to half.
func (n *nodes) countFailure(one *node) {
	wait := n.config.InitialBackoff
	for i := 0; i < one.failures && wait < n.config.MaxBackoff; i++ {
		wait *= 2
	}
	if wait > n.config.MaxBackoff {
		wait = n.config.MaxBackoff
	}
	wait -= time.Duration(rand.Int63n(int64(wait)/2 + 1))
	one.next = time.Now().Add(wait)
	one.failures++
}

// of returns the node of a connection that accepts requests.
func (n *nodes) of(c *conn) *node {
	if c == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		if one.current() == c {
			return one
		}
	}
	return nil
}

// connection returns the best connection, and one to a node to avoid only if there is no other. It
// waits for one until the end of ctx. `failed` gets the errors of the attempts to connect.
func (n *nodes) connection(ctx context.Context, avoid map[*node]bool, failed func(error)) (*node, *conn, error) {
	n.mu.Lock()
	before := make([]int, len(n.all))
	for i, one := range n.all {
		before[i] = one.attempts
	}
	for hasWaited := false; ; hasWaited = true {
		if n.closed {
			n.mu.Unlock()
			return nil, nil, callError(ErrClosed, nil, NotDone)
		}
		if one, c := n.best(avoid); c != nil {
			n.mu.Unlock()
			return one, c, nil
		}
		hopeless := true
		var last error
		for i, one := range n.all {
			isWaiting := one.err != nil && time.Now().Before(one.next)
			hopeless = hopeless && (one.attempts > before[i] || !hasWaited && isWaiting)
			if one.err != nil {
				last = one.err
			}
		}
		if last != nil {
			failed(last)
			if hopeless && n.config.FailFast {
				n.mu.Unlock()
				return nil, nil, last
			}
		}
		for _, one := range n.all {
			n.connect(one)
		}
		changed := n.changed
		n.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%w while connecting", ctx.Err())
		}
		n.mu.Lock()
	}
}

// best returns the best connection: not to a node to avoid, not slow, not full, and with the fewest
// requests in flight. Equally good nodes are chosen alternately. The lock is held.
func (n *nodes) best(avoid map[*node]bool) (*node, *conn) {
	n.turn++
	var bestNode *node
	var bestConn *conn
	var bestRank int64
	for offset := range n.all {
		one := n.all[(n.turn+offset)%len(n.all)]
		c := one.current()
		if c == nil {
			continue
		}
		rank := one.inFlight.Load()
		for bit, bad := range []bool{c.inFlight.isFull(), one.slow.Load(), avoid[one]} {
			if bad {
				rank += 1 << (40 + bit)
			}
		}
		if bestConn == nil || rank < bestRank {
			bestNode, bestConn, bestRank = one, c, rank
		}
	}
	return bestNode, bestConn
}

// hasHealthyOther tells whether a node is connected, fast and has capacity, other than this one.
func (n *nodes) hasHealthyOther(than *node) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		c := one.current()
		if one != than && c != nil && !one.slow.Load() && !c.inFlight.isFull() {
			return true
		}
	}
	return false
}

// lastError returns the error of the last attempt to connect, if there is no connection.
func (n *nodes) lastError() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var last error
	for _, one := range n.all {
		if one.current() != nil {
			return nil
		}
		if one.err != nil {
			last = one.err
		}
	}
	return last
}

func (n *nodes) anyOutside(avoid map[*node]bool) bool {
	return len(avoid) < len(n.all)
}

func (n *nodes) isConnectedOutside(avoid map[*node]bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.all {
		if !avoid[one] && one.current() != nil {
			return true
		}
	}
	return false
}

// close stops connecting, waits for the replies to requests in flight, and closes all connections.
func (n *nodes) close(ctx context.Context) error {
	n.mu.Lock()
	n.closed = true
	var remaining []*conn
	for _, one := range n.all {
		if one.conn != nil {
			remaining = append(remaining, one.conn)
		}
		for c := range one.retired {
			remaining = append(remaining, c)
		}
	}
	n.notify()
	n.mu.Unlock()
	var err error
	for _, c := range remaining {
		c.finish(ctx)
	}
	for _, c := range remaining {
		select {
		case <-c.closed:
		case <-ctx.Done():
			err = errors.New("userservice: closed before all replies arrived")
			c.close(result{kind: resultLost, err: errClosedByClient})
		}
	}
	return err
}
