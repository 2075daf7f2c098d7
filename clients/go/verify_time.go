package userservice

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// maxAheadMS is the time by which iat may be ahead of the time of the service.
	maxAheadMS = 60_000
	// unknownTime is the offset before the first answer. It makes every token appear expired.
	unknownTime = math.MaxInt64 / 4
)

// serviceTime is the time of the service, as an offset from the monotonic clock, in milliseconds.
//
// An answer with the time now, requested at `sent` and received at `received`, was written in
// between. So the time of the service is at least now at `received`, and at most now at `sent`.
// Tokens expire by the upper bound: a delay makes a token expire earlier, never later.
//
// If the service's clock is set back, tokens that had expired would become valid again, possibly
// after the revocations that concern them were removed. So the greatest lower bound is kept as a
// floor, and the service is asked about a token that has expired by only one of the two. The floor
// is dropped when every token that was issued before has expired by the new clock too, and also
// after the service's clock was behind it for `retention` by the monotonic clock, without
// interruption. By then, the tokens of before the clock was ahead have expired. Those that were
// issued in the meantime are ahead of the new clock, and the service repeats their entries.
type serviceTime struct {
	start  time.Time
	latest atomic.Int64 // upper bound by the latest answer
	bound  atomic.Int64 // the larger one of `latest` and the floor

	// Only the follower uses these.
	hasFloor bool
	floor    int64
	isBehind bool // the service's clock is behind the floor
	// floorUntil and behindUntil are the times of the service and of the monotonic clock at which
	// the floor is dropped if the service's clock is behind it until then.
	floorUntil, behindUntil int64
}

func newServiceTime(start time.Time) *serviceTime {
	t := &serviceTime{start: start}
	t.latest.Store(unknownTime)
	t.bound.Store(unknownTime)
	return t
}

func (t *serviceTime) millis(at time.Time) int64 {
	return at.Sub(t.start).Milliseconds()
}

// observe takes the time of an answer into account.
func (t *serviceTime) observe(now, sent, received time.Time) {
	nowMS, sentMS, receivedMS := now.UnixMilli(), t.millis(sent), t.millis(received)
	upper := nowMS - sentMS
	lower := nowMS - receivedMS - 1
	wasBehind := t.isBehind
	t.isBehind = t.hasFloor && upper < t.floor
	if wasBehind && (nowMS >= t.floorUntil || t.isBehind && sentMS >= t.behindUntil) {
		t.hasFloor, t.isBehind = false, false
	}
	switch {
	case t.isBehind && !wasBehind:
		t.behindUntil = receivedMS + retention.Milliseconds()
		t.floorUntil = t.floor + t.behindUntil
	case !t.isBehind && (!t.hasFloor || lower > t.floor):
		t.hasFloor, t.floor = true, lower
	}
	bound := upper
	if t.floor > bound {
		bound = t.floor
	}
	t.latest.Store(upper)
	t.bound.Store(bound)
}

type timing int

const (
	timingCurrent timing = iota
	timingExpired
	// timingDisputed: it depends on whether the service's clock was rightly set back.
	timingDisputed
)

// check compares the times of a token, in seconds, with the time of the service.
func (t *serviceTime) check(token *claims, at time.Time) timing {
	now := t.millis(at) + 1
	latest, bound := now+t.latest.Load(), now+t.bound.Load()
	issued, expires := token.issued*1000, token.expiresAt*1000
	switch {
	case expires > bound && issued <= latest+maxAheadMS:
		return timingCurrent
	case expires <= latest || issued > bound+maxAheadMS:
		return timingExpired
	}
	return timingDisputed
}
