package userservice

import (
	"container/list"
	"sync"
	"time"
)

// retention is the time for which an entry is kept: the longest lifetime that a token can have, and
// the time by which the clock of the node that issued it may have been ahead.
const retention = maxAccessLife + time.Minute

// maxAccessLife is the longest lifetime of an access token.
const maxAccessLife = time.Hour

// revocations are the entries that have been received and have not expired.
type revocations struct {
	mu sync.RWMutex
	// ids are those of sessions and users, with their elements of `expiries`.
	ids map[UUID]*list.Element
	// firstValid is 0, or one more than the latest iat of the tokens that are all revoked.
	firstValid int64

	// Only the follower uses these.
	expiries list.List // of *expiry, in the order of their times
	allUntil time.Time
	max      int
}

type expiry struct {
	at time.Time
	id UUID
}

func newRevocations(max int) *revocations {
	return &revocations{ids: map[UUID]*list.Element{}, max: max}
}

// contain tells whether a token is revoked.
func (r *revocations) contain(token *claims) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if token.issued < r.firstValid {
		return true
	}
	if len(r.ids) == 0 {
		return false
	}
	if _, found := r.ids[token.session]; found {
		return true
	}
	_, found := r.ids[token.user]
	return found
}

func (r *revocations) count() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.ids)
}

// add adds a session or user. It returns false if there are too many. An id that is known stays
// until the later time, even if the set is full: an entry arrives again if some of the tokens that
// it concerns become valid later, or were issued after it arrived for the first time.
func (r *revocations) add(id UUID, until time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if element, found := r.ids[id]; found {
		if known := element.Value.(*expiry); until.After(known.at) {
			known.at = until
			r.expiries.MoveToBack(element)
		}
		return true
	}
	if len(r.ids) >= r.max {
		return false
	}
	r.ids[id] = r.expiries.PushBack(&expiry{until, id})
	return true
}

// addAll revokes every token that was issued at `before` (in seconds) or earlier.
func (r *revocations) addAll(before int64, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before+1 > r.firstValid {
		r.firstValid = before + 1
	}
	// Always extended: an earlier time may arrive last, and is then covered by the later one.
	if until.After(r.allUntil) {
		r.allUntil = until
	}
}

// expire removes the entries that have expired. It returns true if there is space for more.
//
// A reader never misses an entry because of this: it reads the clock after the set, and by that
// reading the tokens that the entry concerns have expired. The service repeats an entry if one of
// them becomes valid later.
func (r *revocations) expire(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for first := r.expiries.Front(); first != nil; first = r.expiries.Front() {
		earliest := first.Value.(*expiry)
		if earliest.at.After(now) {
			break
		}
		delete(r.ids, earliest.id)
		r.expiries.Remove(first)
	}
	if !r.allUntil.IsZero() && !r.allUntil.After(now) {
		r.allUntil, r.firstValid = time.Time{}, 0
	}
	return len(r.ids) < r.max
}
