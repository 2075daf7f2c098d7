package userservice

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// maxAdvertised is the upper bound of the limits that a server may advertise.
	maxAdvertised = 65_536
	// maxQueued is the number of queued bytes from which on further calls wait.
	maxQueued = 65_536
	// abandonedAfter is the age from which on the reply to an abandoned request is not expected
	// any more. It exceeds the longest deadline, within which a server answers. A ping is expected
	// within the same time, even if other replies arrive.
	abandonedAfter = time.Minute
	// maxRetryAfter is the longest wait for a server that is at its connection limit.
	maxRetryAfter = time.Minute
)

type phase int

const (
	phaseOpen phase = iota
	// phaseRetired: no further requests are sent, and replies are still received.
	phaseRetired
	phaseClosed
)

// conn is one connection: frames to be written, requests in flight, and pings. A goroutine reads,
// one writes, and one watches the time. All of them end when the connection is closed.
type conn struct {
	sock     net.Conn
	config   *Config
	onChange func(*conn)
	inFlight *slots
	hashing  *slots
	wake     chan struct{} // tells the writer that there is something to write
	recheck  chan struct{} // tells the timer that its plan has changed
	closed   chan struct{}

	mu          sync.Mutex
	phase       phase
	queue       []*pending
	queuedBytes int
	taken       uint64        // offset in the outgoing stream up to which frames were given to the writer
	written     uint64        // offset up to which all bytes were written
	writing     bool          // the writer has not reported yet what it has written
	progress    chan struct{} // closed whenever the writer has made progress
	pending     map[uint32]*pending
	lastID      uint32
	idleTimeout time.Duration
	lastRead    time.Time
	lastQueued  time.Time
	pingSent    time.Time
	writeErr    error
	// served is set once the server has answered the request of a call, with anything except
	// SHUTTING_DOWN. A server that shuts down, or is at its limit, may still answer pings.
	served   bool
	draining bool
	// retryAfter is the time that the server asked for before the next connection.
	retryAfter time.Duration
}

// pending is a request in flight. It stays until its reply arrives, even if its call was abandoned.
type pending struct {
	id         uint32
	frame      []byte
	begun      bool
	begin, end uint64 // offsets in the outgoing stream, once begun
	since      time.Time
	result     chan result
	abandoned  bool
	hashes     bool
	own        bool // a ping of the connection itself, which takes no slot
	probe      bool // a ping of the client
}

type resultKind int

const (
	// resultAnswered: a reply arrived, which may be an error.
	resultAnswered resultKind = iota
	// resultNotSent: the request was not written completely, so it was not executed.
	resultNotSent
	// resultRejected: the server rejected the client's certificate.
	resultRejected
	// resultClosed: the server sent an error about the connection.
	resultClosed
	// resultLost: the connection ended after the request was written.
	resultLost
)

type result struct {
	kind      resultKind
	frameKind byte
	body      []byte
	reply     *errorReply
	isFirst   bool // nothing was answered before
	err       error
}

func newConn(sock net.Conn, config *Config, onChange func(*conn)) *conn {
	now := time.Now()
	return &conn{
		sock:       sock,
		config:     config,
		onChange:   onChange,
		inFlight:   newSlots(defaultMaxInFlight),
		hashing:    newSlots(defaultMaxHashing),
		wake:       make(chan struct{}, 1),
		recheck:    make(chan struct{}, 1),
		closed:     make(chan struct{}),
		progress:   make(chan struct{}),
		pending:    map[uint32]*pending{},
		lastRead:   now,
		lastQueued: now,
	}
}

// start begins to read and to write.
func (c *conn) start() {
	go c.readLoop()
	go c.writeLoop()
	go c.timerLoop()
}

func (c *conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == phaseOpen
}

// send queues a request as soon as a slot is free. It returns nil if the connection accepts no more
// requests.
func (c *conn) send(ctx context.Context, request requestMessage, tags func() *common, probe bool) (*pending, error) {
	hashes := request.hashes()
	if hashes {
		// First, so that a request that waits for it holds up no other.
		if ok, err := c.slot(ctx, c.hashing); !ok {
			return nil, err
		}
	}
	ok, err := c.slot(ctx, c.inFlight)
	if ok {
		var p *pending
		if p, err = c.enqueue(ctx, request, tags, &pending{hashes: hashes, probe: probe}); p != nil {
			return p, nil
		}
		c.inFlight.release()
	}
	if hashes {
		c.hashing.release()
	}
	return nil, err
}

func (c *conn) slot(ctx context.Context, slots *slots) (bool, error) {
	if slots.isFull() {
		c.retireIfStuck()
	}
	return slots.acquire(ctx)
}

func (c *conn) enqueue(ctx context.Context, request requestMessage, tags func() *common, p *pending) (*pending, error) {
	for {
		c.mu.Lock()
		if c.phase != phaseOpen {
			c.mu.Unlock()
			return nil, nil
		}
		if c.queuedBytes < maxQueued {
			break
		}
		progress := c.progress
		c.mu.Unlock()
		select {
		case <-progress:
		case <-c.closed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer c.mu.Unlock()
	p.result = make(chan result, 1)
	if err := c.push(p, request, tags(), time.Now()); err != nil {
		return nil, callError(ErrInvalidRequest, err, NotDone)
	}
	return p, nil
}

// push encodes a request with a free id, and queues it. The lock is held.
func (c *conn) push(p *pending, request requestMessage, tags *common, now time.Time) error {
	id := c.lastID + 1
	for id == 0 || c.pending[id] != nil {
		id++
	}
	frame, err := appendFrame(request.info().kind, id, request, tags)
	if err != nil {
		return err
	}
	c.lastID = id
	p.id, p.frame, p.since = id, frame, now
	c.pending[id] = p
	c.queue = append(c.queue, p)
	c.queuedBytes += len(frame)
	c.lastQueued = now
	signal(c.wake)
	return nil
}

// ping queues a ping of the connection itself. The lock is held.
func (c *conn) ping(now time.Time) {
	// A ping always fits into a frame.
	if c.push(&pending{own: true, result: make(chan result, 1)}, &Ping{}, nil, now) == nil && c.pingSent.IsZero() {
		c.pingSent = now
	}
}

// abandon gives up waiting for a reply. It returns true if the request is certainly not executed,
// because it was not sent and will not be.
func (c *conn) abandon(p *pending) bool {
	c.mu.Lock()
	p.abandoned = true
	for p.begun && p.begin >= c.written && c.phase != phaseClosed && c.interrupt() {
		// The writer holds the frame, and has not written any of it when it last reported.
		progress := c.progress
		c.mu.Unlock()
		select {
		case <-progress:
		case <-c.closed:
		}
		c.mu.Lock()
	}
	_, isPending := c.pending[p.id]
	notSent := isPending && !p.begun && c.unqueue(p)
	c.mu.Unlock()
	if notSent {
		c.free(p)
	}
	select {
	case ended := <-p.result:
		// It ended at the same time.
		notSent = notSent || ended.kind == resultNotSent
	default:
	}
	c.closeIfDone()
	return notSent
}

// unqueue removes a request that was not given to the writer. The lock is held.
func (c *conn) unqueue(p *pending) bool {
	for i, other := range c.queue {
		if other == p {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			c.queuedBytes -= len(p.frame)
			delete(c.pending, p.id)
			return true
		}
	}
	return false
}

func (c *conn) free(p *pending) {
	if p.own {
		return
	}
	c.inFlight.release()
	if p.hashes {
		c.hashing.release()
	}
}

// signal wakes up the receiver of a channel with one place.
func signal(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}
