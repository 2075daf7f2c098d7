package userservice

import (
	"log"
	"sync"
	"sync/atomic"
	"time"
)

// outageInterval is the shortest time between two outages that are logged.
const outageInterval = 10 * time.Second

// source is a kind of calls of verifiers.
type source uint32

const (
	sourceKeys source = 1 << iota
	sourceWatch
	sourceAsk
)

// outage logs a line when the service stops answering verifiers, and one when it answers again.
type outage struct {
	logger *log.Logger
	// failing are the sources whose last call failed.
	failing atomic.Uint32

	mu       sync.Mutex
	began    time.Time
	logged   time.Time
	isLogged bool
	warned   time.Time
}

// failed takes a call into account that got no answer.
func (o *outage) failed(from source, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	before := o.failing.Load()
	o.failing.Store(before | uint32(from))
	if before == 0 {
		o.began = now
	}
	if !o.isLogged && (o.logged.IsZero() || now.Sub(o.logged) >= outageInterval) {
		o.isLogged, o.logged = true, now
		o.logger.Print("userservice: the user service is not available: ", printable(brief(err)))
	}
}

// answered takes a call into account that was answered.
func (o *outage) answered(from source) {
	// Without the lock, because this happens for every token.
	if o.failing.Load()&uint32(from) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.failing.Load() &^ uint32(from)
	o.failing.Store(rest)
	if rest == 0 && o.isLogged {
		o.isLogged = false
		o.logger.Printf("userservice: the user service is available again, after %v", time.Since(o.began).Round(time.Millisecond))
	}
}

// forget ends an outage that no verifier is interested in any more.
func (o *outage) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing.Store(0)
	o.isLogged = false
}

// warn logs a line that is not about an outage, unless there was one shortly before.
func (o *outage) warn(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.warned.IsZero() || now.Sub(o.warned) >= outageInterval {
		o.warned = now
		o.logger.Print(line)
	}
}
