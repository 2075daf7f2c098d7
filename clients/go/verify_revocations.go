package userservice

import (
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
	mu  sync.RWMutex
	ids map[UUID]struct{}
	// firstValid is 0, or one more than the latest iat of the tokens that are all revoked.
	firstValid int64

	// Only the follower uses these.
	expiries []expiry // in the order of their times
	allUntil time.Time
	max      int
}

type expiry struct {
	at time.Time
	id UUID
}

func newRevocations(max int) *revocations {
	return &revocations{ids: map[UUID]struct{}{}, max: max}
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

// add adds a session or user. It returns false if there are too many. An id that is known does not
// stay longer: the tokens that it concerns were issued before it arrived for the first time.
func (r *revocations) add(id UUID, until time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.ids[id]; found {
		return true
	}
	if len(r.expiries) >= r.max {
		return false
	}
	r.ids[id] = struct{}{}
	r.expiries = append(r.expiries, expiry{until, id})
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
// reading the tokens that the entry concerns have expired.
func (r *revocations) expire(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	for count < len(r.expiries) && !r.expiries[count].at.After(now) {
		delete(r.ids, r.expiries[count].id)
		count++
	}
	// The rest is copied once in a while, so that the memory of the removed ones is freed.
	if r.expiries = r.expiries[count:]; count > 0 {
		r.expiries = append([]expiry(nil), r.expiries...)
	}
	if !r.allUntil.IsZero() && !r.allUntil.After(now) {
		r.allUntil, r.firstValid = time.Time{}, 0
	}
	return len(r.expiries) < r.max
}
