package userservice

import (
	"container/list"
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
	waiting *list.List // of chan bool
}

func newSlots(limit int) *slots {
	return &slots{limit: limit, waiting: list.New()}
}

// acquire waits for a slot. It returns false if there will be none.
func (s *slots) acquire(ctx context.Context) (bool, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false, nil
	}
	if s.used < s.limit && s.waiting.Len() == 0 {
		s.used++
		s.mu.Unlock()
		return true, nil
	}
	granted := make(chan bool, 1)
	place := s.waiting.PushBack(granted)
	s.mu.Unlock()
	select {
	case ok := <-granted:
		return ok, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case ok := <-granted:
		// Granted at the same time.
		if ok {
			s.used--
			s.grant()
		}
	default:
		// In constant time, because many calls may end together.
		s.waiting.Remove(place)
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
	for s.waiting.Len() > 0 {
		s.next() <- false
	}
}

func (s *slots) grant() {
	for s.waiting.Len() > 0 && s.used < s.limit {
		s.used++
		s.next() <- true
	}
}

// next removes the call that has waited for the longest time. The channel has one place.
func (s *slots) next() chan<- bool {
	granted, _ := s.waiting.Remove(s.waiting.Front()).(chan bool)
	return granted
}
