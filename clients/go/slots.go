package userservice

import (
	"context"
	"sync"
)

// slots is a semaphore with a limit that the server can change. The number of calls that wait is
// bounded by Config.MaxCalls.
type slots struct {
	mu      sync.Mutex
	limit   int
	used    int
	closed  bool
	waiting []chan bool
}

func newSlots(limit int) *slots {
	return &slots{limit: limit}
}

// acquire waits for a slot. It returns false if there will be none.
func (s *slots) acquire(ctx context.Context) (bool, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false, nil
	}
	if s.used < s.limit && len(s.waiting) == 0 {
		s.used++
		s.mu.Unlock()
		return true, nil
	}
	granted := make(chan bool, 1)
	s.waiting = append(s.waiting, granted)
	s.mu.Unlock()
	select {
	case ok := <-granted:
		return ok, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.waiting {
		if other == granted {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return false, ctx.Err()
		}
	}
	// Granted at the same time.
	if <-granted {
		s.used--
		s.grant()
	}
	return false, ctx.Err()
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.grant()
}

// setLimit changes the limit. Slots in use beyond a lower limit stay in use.
func (s *slots) setLimit(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.grant()
}

func (s *slots) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used >= s.limit
}

// close ends every wait without a slot.
func (s *slots) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, granted := range s.waiting {
		granted <- false
	}
	s.waiting = nil
}

func (s *slots) grant() {
	for len(s.waiting) > 0 && s.used < s.limit {
		s.used++
		s.waiting[0] <- true
		s.waiting = s.waiting[1:]
	}
}
