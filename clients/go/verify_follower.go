package userservice

import (
	"time"
	"unicode/utf8"
)

const (
	// retryAllAfter is the time after which all revocations are requested again after there were
	// too many.
	retryAllAfter = time.Minute
	// maxCursor is the longest accepted cursor in bytes.
	maxCursor = 1_024
	// minRefresh and maxRefresh bound the time after which the keys are read again.
	minRefresh = 10 * time.Second
	maxRefresh = 24 * time.Hour
	// keysOverdue is the time for which the keys are used after they should have been read again.
	keysOverdue = 10 * time.Second
)

// follower applies answers to the state of a verifier, of which it is the only writer. Its methods
// must not run at the same time.
type follower struct {
	local *localState
	// cursor is that of the last answer, for the next request.
	cursor []byte
	// round is the number of times that all revocations were requested again. The answer to a
	// request from before the last time is not complete.
	round int
	// missedAt is the time at which an entry was left out because there were too many.
	missedAt time.Time
}

// applyKeys applies an answer to GetKeys. It returns the time after which to call it again, or
// false if the answer contains no JWK Set.
func (f *follower) applyKeys(answer *Keys, sent, received time.Time) (time.Duration, bool) {
	keys := parseKeys(answer.JWKS)
	if keys == nil {
		return 0, false
	}
	if answer.Now != nil {
		f.local.time.observe(*answer.Now, sent, received)
	}
	// The entries are kept for long enough for this lifetime at most.
	life := answer.AccessLife
	if life > maxAccessLife {
		life = maxAccessLife
	}
	f.local.accessLife.Store(int64(life / time.Second))
	f.local.isLeftToService.Store(len(keys) == 0)
	if f.local.keys.replace(keys) {
		f.local.cache.clear()
	}
	wait := answer.RefreshAfter
	if wait < minRefresh {
		wait = minRefresh
	} else if wait > maxRefresh {
		wait = maxRefresh
	}
	// Only after the keys: a check that finds them current has seen them, or later ones.
	f.local.setKeysUntil(sent.Add(wait + keysOverdue))
	return wait, true
}

// applyNotPermitted applies a refusal of GetKeys to a client that is not trusted.
func (f *follower) applyNotPermitted() {
	if f.local.keys.current() == nil {
		f.local.isLeftToService.Store(true)
	}
}

// applyRevocations applies an answer to the WatchRevocations of this round. It returns true if a
// key was revoked that was not revoked before.
func (f *follower) applyRevocations(answer *Revocations, round int, sent, received time.Time) bool {
	f.local.time.observe(answer.Now, sent, received)
	keyRevoked := false
	for i := range answer.Entries {
		isNew, understood := f.applyRow(&answer.Entries[i], received.Add(retention))
		keyRevoked = keyRevoked || isNew
		if !understood {
			f.local.hasUnknownEntry.Store(true)
		}
	}
	if keyRevoked {
		f.local.cache.clear()
	}
	if round != f.round {
		return keyRevoked
	}
	if !f.missedAt.IsZero() {
		f.local.completeAt.Store(incomplete)
	} else if answer.More == 0 {
		// Only after the entries above: checks rely on this order.
		f.local.setComplete(sent.Add(-answer.Stale))
	}
	if f.cursor = answer.Cursor; len(f.cursor) > maxCursor {
		f.cursor = nil
	}
	return keyRevoked
}

// applyRow returns whether the row revokes a key that was not revoked before, and whether the row
// is understood.
func (f *follower) applyRow(row *Revocation, until time.Time) (keyRevoked, understood bool) {
	switch row.Kind {
	case 1, 2:
		var id UUID
		if copy(id[:], row.ID); len(row.ID) != len(id) {
			return false, false
		}
		if !f.local.revocations.add(id, until) && f.missedAt.IsZero() {
			f.missedAt = time.Now()
		}
		return false, true
	case 3:
		if len(row.ID) != 0 {
			return false, false
		}
		f.local.revocations.addAll(row.Before.Unix(), until)
		return false, true
	case 4:
		if len(row.ID) > maxKid {
			// It names no key that this verifier accepts.
			return false, true
		}
		if len(row.ID) == 0 || !utf8.Valid(row.ID) {
			return false, false
		}
		return f.local.keys.revoke(string(row.ID))
	}
	return false, false
}

// expire removes what has expired. It requests all revocations again if some were left out because
// there were too many, and there is space now.
func (f *follower) expire(now time.Time) {
	hasSpace := f.local.revocations.expire(now)
	if hasSpace && !f.missedAt.IsZero() && now.Sub(f.missedAt) >= retryAllAfter {
		f.missedAt = time.Time{}
		f.local.completeAt.Store(incomplete)
		f.cursor = nil
		f.round++
	}
}
