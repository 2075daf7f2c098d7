package userservice

import (
	"errors"
	"time"
)

// minPingInterval is the shortest time between two pings, whatever the server advertises.
const minPingInterval = 100 * time.Millisecond

var errUnresponsive = errors.New("the server stopped responding")

// timerLoop sends pings in time, and closes the connection if one is not answered.
func (c *conn) timerLoop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-c.recheck:
			if !timer.Stop() {
				select {
				case <-timer.C:
				default:
				}
			}
		case <-c.closed:
			return
		}
		wait, dead := c.tick(time.Now())
		if dead {
			c.close(result{kind: resultLost, err: errUnresponsive})
			return
		}
		timer.Reset(wait)
	}
}

// tick sends a ping if one is due. It returns the time until the next look, or true if the server
// has not answered a ping in time.
func (c *conn) tick(now time.Time) (time.Duration, bool) {
	full := c.inFlight.isFull()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pingSent.IsZero() && now.Sub(c.pingSent) >= c.config.PongTimeout {
		return 0, true
	}
	for _, p := range c.pending {
		if p.own && now.Sub(p.since) >= abandonedAfter {
			return 0, true
		}
	}
	interval := c.pingInterval()
	if c.phase == phaseOpen && (now.Sub(c.lastQueued) >= interval || c.pingSent.IsZero() && c.isSilent(now, full)) {
		c.ping(now)
	}
	wait := c.lastQueued.Add(interval).Sub(now)
	if c.phase != phaseOpen || wait > c.config.PingPendingAfter {
		wait = c.config.PingPendingAfter
	}
	if !c.pingSent.IsZero() {
		if left := c.pingSent.Add(c.config.PongTimeout).Sub(now); left < wait {
			wait = left
		}
	}
	if wait < minPingInterval/2 {
		wait = minPingInterval / 2
	}
	return wait, false
}

func (c *conn) pingInterval() time.Duration {
	interval := c.config.PingAfter
	if c.idleTimeout > 0 && c.idleTimeout/2 < interval {
		interval = c.idleTimeout / 2
	}
	if interval < minPingInterval {
		interval = minPingInterval
	}
	return interval
}

// isSilent tells whether a reply is late. A server at its limit would not read a ping either.
func (c *conn) isSilent(now time.Time, full bool) bool {
	var since time.Time
	for _, p := range c.pending {
		if !p.own && !p.abandoned && (since.IsZero() || p.since.Before(since)) {
			since = p.since
		}
	}
	if since.IsZero() || full {
		return false
	}
	if c.lastRead.After(since) {
		since = c.lastRead
	}
	return now.Sub(since) >= c.config.PingPendingAfter
}
