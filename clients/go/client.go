// Package userservice is a client of the user service: sessions, accounts, and access tokens that
// are verified in memory.
package userservice

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// closeTimeout is the time for which Close waits for the replies to requests in flight.
	closeTimeout = 10 * time.Second
	// probeInterval is the interval at which the nodes are pinged, if there are several.
	probeInterval = time.Second
)

// A Client is a client of one node or several nodes of the service. It connects with the first
// call, and connects again after a connection was lost. It may be used by any number of goroutines.
type Client struct {
	config  Config
	nodes   *nodes
	isLocal bool
	active  atomic.Int64
	stop    context.CancelFunc
	stopped context.Context
	probing sync.Once
	outage  *outage
	remote  *asker
	// hasVerifier is set while a Verifier of this client is open.
	hasVerifier atomic.Bool
}

// New creates a client of the nodes at these addresses, HOST:PORT each.
func New(config Config, addresses ...string) (*Client, error) {
	if len(addresses) == 0 {
		return nil, fmt.Errorf("userservice: expected at least one address: %s", expectedAddress)
	}
	c := &Client{config: config.withDefaults(), isLocal: true}
	var err error
	if c.config.TLS, err = prepareTLS(config.TLS); err != nil {
		return nil, err
	}
	for _, address := range addresses {
		if !isAddress(address) {
			return nil, fmt.Errorf("userservice: invalid address %q: expected %s", address, expectedAddress)
		}
		c.isLocal = c.isLocal && isLoopback(address)
	}
	c.stopped, c.stop = context.WithCancel(context.Background())
	c.nodes = newNodes(addresses, &c.config, c.stopped)
	c.outage = &outage{logger: c.config.Logger}
	c.remote = newAsker(c, VerifierConfig{}.withDefaults())
	return c, nil
}

// plaintextError returns an error if secrets would cross a network in plain text.
func (c *Client) plaintextError() error {
	if c.config.TLS != nil || c.config.AllowPlaintext || c.isLocal {
		return nil
	}
	var remote []string
	for _, one := range c.nodes.all {
		if !isLoopback(one.address) {
			remote = append(remote, one.address)
		}
	}
	return callError(ErrPlaintext, fmt.Errorf(
		"%s: expected Config.TLS (LoadTLS makes one), or Config.AllowPlaintext if the network is trusted",
		strings.Join(remote, ", ")), NotDone)
}

// misuse returns an error if a call cannot have been meant.
func (c *Client) misuse(ctx context.Context) error {
	switch {
	case c == nil || c.nodes == nil:
		return callError(ErrInvalidRequest, errors.New("expected a client that New has returned"), NotDone)
	case ctx == nil:
		return callError(ErrInvalidRequest, errors.New("expected a context, not nil"), NotDone)
	}
	return nil
}

// call sends a request, and returns its reply. It is sent again where the protocol permits it.
func (c *Client) call(ctx context.Context, request requestMessage, options []CallOption) (replyMessage, error) {
	if err := c.misuse(ctx); err != nil {
		return nil, err
	}
	tags, err := resolveOptions(ctx, request.info(), options)
	if err != nil {
		return nil, callError(ErrInvalidRequest, err, NotDone)
	}
	answered, err := c.do(ctx, c.config.Deadline, &attempts{request: request, tags: tags}, 0)
	if err != nil {
		return nil, err
	}
	return answered.reply, nil
}

// do runs the attempts of a call until the end of ctx, and for `limit` if ctx has no deadline. The
// node may take `wait` before it counts as slow. It returns the attempts that were answered.
func (c *Client) do(ctx context.Context, limit time.Duration, a *attempts, wait time.Duration) (*attempts, error) {
	if c.stopped.Err() != nil {
		return nil, callError(ErrClosed, nil, NotDone)
	}
	if a.request.info().isConfidential() {
		if err := c.plaintextError(); err != nil {
			return nil, err
		}
	}
	if c.active.Add(1) > int64(c.config.MaxCalls) {
		c.active.Add(-1)
		return nil, callError(ErrTooManyCalls, nil, NotDone)
	}
	defer c.active.Add(-1)
	if _, ok := ctx.Deadline(); ok || limit > maxDeadline {
		limit = maxDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, callError(ErrDeadline, err, NotDone)
	}
	a.nodes, a.avoid, a.reply = c.nodes, map[*node]bool{}, newReply(a.request.info().reply)
	if len(c.nodes.all) > 1 {
		c.probing.Do(func() { go c.probe() })
		// A refresh that is executed twice at the same time is no theft, but a risk.
		if a.request.info().retry == retrySafe {
			return c.race(ctx, a, wait)
		}
	}
	return a, a.run(ctx)
}

// race sends a safe request also to a second node if the first does not answer in time.
func (c *Client) race(ctx context.Context, first *attempts, wait time.Duration) (*attempts, error) {
	type ended struct {
		attempts *attempts
		err      error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// One place for each attempt, so that none waits for this function.
	results := make(chan ended, 2)
	start := func(a *attempts) { go func() { results <- ended{a, a.run(ctx)} }() }
	start(first)
	slow := time.NewTimer(c.config.SlowAfter + wait)
	defer slow.Stop()
	running := 1
	var failure error
	for running > 0 {
		select {
		case one := <-results:
			running--
			if one.err == nil {
				return one.attempts, nil
			}
			if isDecision(one.err) {
				return nil, one.err
			}
			if failure == nil {
				failure = one.err
			}
		case <-slow.C:
			// At most one more attempt: with all nodes slow, nothing is sent twice.
			late := first.waiting.Load()
			if late == nil || !c.nodes.hasHealthyOther(late) {
				slow.Reset(c.config.SlowAfter)
				continue
			}
			late.slow.Store(true)
			second := &attempts{
				nodes:   c.nodes,
				request: first.request,
				reply:   newReply(first.request.info().reply),
				tags:    first.tags,
				isPoll:  first.isPoll,
				avoid:   map[*node]bool{late: true},
			}
			running++
			start(second)
		}
	}
	return nil, failure
}

// isDecision tells whether an error is an answer that no other node would improve. Then the call
// does not wait for a node that may never answer.
func isDecision(err error) bool {
	var server *ServerError
	return errors.As(err, &server) && (server.outcome == Refused || server.Code == CodeRateLimited)
}

// probe pings the nodes, which also keeps them connected, until the client is closed.
func (c *Client) probe() {
	for c.stopped.Err() == nil {
		for _, one := range c.nodes.all {
			c.nodes.mu.Lock()
			c.nodes.connect(one)
			current := one.current()
			c.nodes.mu.Unlock()
			if current != nil {
				go c.probeOne(one, current)
			}
		}
		select {
		case <-time.After(probeInterval - time.Duration(rand.Int63n(int64(probeInterval)/5))):
		case <-c.stopped.Done():
		}
	}
}

// probeOne pings a node: it is slow if it does not answer in time, and recovered if it does.
func (c *Client) probeOne(one *node, current *conn) {
	ctx, cancel := context.WithTimeout(c.stopped, c.config.ConnectTimeout)
	defer cancel()
	began := time.Now()
	p, err := current.send(ctx, &Ping{}, func() *common { return nil }, true)
	if err != nil || p == nil {
		return
	}
	late := time.AfterFunc(c.config.SlowAfter, func() { one.slow.Store(true) })
	defer late.Stop()
	select {
	case answer := <-p.result:
		if answer.kind == resultAnswered && time.Since(began) < c.config.SlowAfter {
			one.slow.Store(false)
		}
	case <-ctx.Done():
		// The connection itself reports a server that does not respond.
		current.abandon(p)
	}
}

// NodeStatus is the state of one node, as a client sees it.
type NodeStatus struct {
	Address   string
	Connected bool
	// Slow is set from a request without a reply in time until a ping is answered in time.
	Slow     bool
	InFlight int
	// LastError is the error of the last attempt to connect; nil if it succeeded.
	LastError error
}

// Status returns the state of every node, in the order of the addresses.
func (c *Client) Status() []NodeStatus {
	c.nodes.mu.Lock()
	defer c.nodes.mu.Unlock()
	var all []NodeStatus
	for _, one := range c.nodes.all {
		all = append(all, NodeStatus{
			Address:   one.address,
			Connected: one.current() != nil,
			Slow:      one.slow.Load(),
			InFlight:  int(one.inFlight.Load()),
			LastError: one.err,
		})
	}
	return all
}

// Close waits up to 10 s for the replies to requests in flight, and closes the connections. Further
// calls fail with ErrClosed.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	c.stop()
	return c.nodes.close(ctx)
}
