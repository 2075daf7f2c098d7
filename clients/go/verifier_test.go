package userservice

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

func genuine(t testing.TB, all *tokenVectors) (string, *claims) {
	t.Helper()
	for _, v := range all.Vectors {
		if v.Name == "eddsa.genuine" {
			found, ok := parseToken([]byte(v.Token)).readClaims(all.Issuer, all.Audience)
			if !ok || found == nil {
				t.Fatal(v.Name)
			}
			return v.Token, found
		}
	}
	t.Fatal("there is no genuine token")
	return "", nil
}

func TestEachKindOfEntry(t *testing.T) {
	all, _ := loadTokens(t)
	token, found := genuine(t, all)
	kid := parseToken([]byte(token)).kid
	other := UUID{1}
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	for _, one := range []struct {
		row      Revocation
		expected string
	}{
		{Revocation{Kind: 1, ID: found.session[:]}, "SESSION_REVOKED"},
		{Revocation{Kind: 1, ID: other[:]}, "OK"},
		{Revocation{Kind: 2, ID: found.user[:]}, "SESSION_REVOKED"},
		{Revocation{Kind: 3, Before: at(found.issued)}, "SESSION_REVOKED"},
		{Revocation{Kind: 3, Before: at(found.issued - 1)}, "OK"},
		{Revocation{Kind: 4, ID: []byte(kid)}, "INVALID_TOKEN"},
		{Revocation{Kind: 4, ID: []byte("other")}, "OK"},
		{Revocation{Kind: 5, ID: other[:]}, "ask"},
		{Revocation{Kind: 1, ID: other[:15]}, "ask"},
		{Revocation{Kind: 3, ID: other[:]}, "ask"},
		{Revocation{Kind: 4}, "ask"},
		{Revocation{Kind: 4, ID: []byte{0xff}}, "ask"},
		{Revocation{Kind: 4, ID: make([]byte, 257)}, "OK"},
	} {
		_, f := loadTokens(t)
		if verdict := f.verdict(token); verdict != "OK" {
			t.Fatal(verdict)
		}
		if one.row.Before.IsZero() {
			one.row.Before = at(0)
		}
		revoked := f.answer(all, Revocations{Entries: []Revocation{one.row}})
		if verdict := f.verdict(token); verdict != one.expected {
			t.Errorf("%+v: %s instead of %s", one.row, verdict, one.expected)
		}
		// A revoked key does not come back, and an answer from the start removes nothing.
		f.keys(t, all)
		f.answer(all, Revocations{})
		if verdict := f.verdict(token); verdict != one.expected || revoked != (one.row.Kind == 4 && one.expected != "ask" && len(one.row.ID) <= maxKid) {
			t.Errorf("%+v: %s later", one.row, verdict)
		}
	}
}

func TestAgeAndCompleteness(t *testing.T) {
	all, f := loadTokens(t)
	token, _ := genuine(t, all)
	f.local.config.AgeLimit = 5 * time.Second
	f.local.completeAt.Store(incomplete)
	now := time.Unix(all.Now, 0)
	answer := func(sent time.Time, stale time.Duration, more uint8) {
		f.applyRevocations(&Revocations{Now: now, Stale: stale, More: more}, f.round, sent, time.Now())
	}
	expect := func(what, expected string) {
		t.Helper()
		if verdict := f.verdict(token); verdict != expected {
			t.Errorf("%s: %s instead of %s", what, verdict, expected)
		}
	}
	answer(time.Now(), 0, 1)
	expect("more entries follow", "ask")
	answer(time.Now(), 6*time.Second, 0)
	expect("the server knows too little", "ask")
	answer(time.Now().Add(-6*time.Second), 0, 0)
	expect("an old answer", "ask")
	answer(time.Now(), time.Second, 0)
	expect("a current answer", "OK")
	answer(time.Now(), 30*time.Second, 0)
	expect("a node that knows less", "OK")
	f.local.setKeysUntil(time.Now())
	expect("old keys", "ask")
	f.keys(t, all)
	expect("new keys", "OK")
	f.local.accessLife.Store(60)
	expect("a longer lifetime than stated", "ask")
	if len(f.local.keysOutdated) != 1 {
		t.Error("GetKeys is not due")
	}
}

func TestRetention(t *testing.T) {
	r := newRevocations(2)
	start := time.Now()
	for i, expected := range []bool{true, true, false, true} {
		if r.add(UUID{byte(i % 3)}, start.Add(retention)) != expected {
			t.Error(i)
		}
	}
	r.addAll(1000, start.Add(retention))
	r.addAll(900, start.Add(retention+time.Minute))
	if r.expire(start.Add(retention-time.Millisecond)) || r.count() != 2 {
		t.Error("expired early")
	}
	if !r.expire(start.Add(retention)) || r.count() != 0 || !r.contain(&claims{issued: 1000}) {
		t.Error("not expired, or the entry of all tokens is")
	}
	if r.expire(start.Add(retention + time.Minute)); r.contain(&claims{issued: 1000}) {
		t.Error("the entry of all tokens is not expired")
	}
	if retention != 3660*time.Second {
		t.Error(retention)
	}
}

func TestAnEntryThatArrivesAgainIsKeptForAsLongAgain(t *testing.T) {
	r := newRevocations(2)
	start := time.Now()
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	add := func(id byte, minutes int, expected bool) {
		t.Helper()
		if r.add(UUID{id}, at(minutes).Add(retention)) != expected {
			t.Errorf("%d at %d", id, minutes)
		}
	}
	expire := func(minutes int, expected ...byte) {
		t.Helper()
		hasSpace := r.expire(at(minutes))
		if hasSpace != (len(expected) < 2) || r.count() != len(expected) || r.expiries.Len() != len(expected) {
			t.Errorf("%d entries at %d, space: %v", r.count(), minutes, hasSpace)
		}
		for _, id := range expected {
			if !r.contain(&claims{session: UUID{id}}) || !r.contain(&claims{user: UUID{id}}) {
				t.Errorf("%d is missing at %d", id, minutes)
			}
		}
	}
	add(1, 0, true)
	add(2, 10, true)
	// Arrivals of ids that are known need no space.
	add(3, 20, false)
	for minutes := 20; minutes <= 40; minutes++ {
		add(1, minutes, true)
	}
	add(1, 30, true)
	add(3, 40, false)
	expire(70, 1, 2)
	// Between its first and its latest arrival, an entry does not keep others.
	expire(71, 1)
	add(3, 71, true)
	add(4, 71, false)
	expire(100, 1, 3)
	expire(101, 3)
	expire(132)
}

func TestAClockThatIsSetBack(t *testing.T) {
	start := time.Now()
	clock := newServiceTime(start)
	token := &claims{issued: 1000, expiresAt: 1900}
	at := func(seconds int64) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	observe := func(service, elapsed int64) { clock.observe(time.Unix(service, 0), at(elapsed), at(elapsed)) }
	check := func(elapsed int64, expected timing) {
		t.Helper()
		if found := clock.check(token, at(elapsed)); found != expected {
			t.Errorf("%d instead of %d at %d", found, expected, elapsed)
		}
	}
	check(0, timingExpired)
	observe(1500, 0)
	check(0, timingCurrent)
	check(401, timingExpired)
	observe(2000, 500)
	check(500, timingExpired)
	observe(1600, 501)
	check(501, timingDisputed)
	// Every token of before has expired by the new clock too.
	observe(2001+3660, 502)
	observe(1600, 503)
	check(503, timingDisputed)
	// Issued in the future: up to 60 s are allowed.
	clock = newServiceTime(start)
	observe(941, 0)
	check(0, timingCurrent)
	observe(930, 1)
	check(1, timingDisputed)
}

func TestAClockThatWasAheadForAMoment(t *testing.T) {
	const years = 10 * 365 * 86_400
	const kept = 61 * 60
	start := time.Now()
	clock := newServiceTime(start)
	at := func(seconds int64) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	// The clock of the service is ahead by so much. The answer arrives a second after the request.
	answer := func(elapsed, ahead int64) {
		clock.observe(time.Unix(1_700_000_000+elapsed+ahead, 0), at(elapsed), at(elapsed+1))
	}
	check := func(elapsed, issued int64, expected timing) {
		t.Helper()
		issued += 1_700_000_000
		if found := clock.check(&claims{issued: issued, expiresAt: issued + 900}, at(elapsed)); found != expected {
			t.Errorf("%d instead of %d at %d", found, expected, elapsed)
		}
	}
	answer(0, 0)
	check(1, 0, timingCurrent)
	answer(10, years)
	check(11, 0, timingExpired)
	answer(20, 0)
	check(21, 20, timingDisputed)
	// The time counts from the arrival of the first answer to the sending of the last.
	answer(20+kept, 0)
	check(21+kept, 20+kept, timingDisputed)
	answer(21+kept, 0)
	check(22+kept, 21+kept, timingCurrent)
	check(22+kept, kept-900, timingExpired)
	// Issued while the clock was ahead.
	check(22+kept, years, timingExpired)

	// If the clock is ahead again in between, the time starts anew.
	clock = newServiceTime(start)
	answer(0, years)
	answer(10, 0)
	answer(1_000, years)
	answer(1_010, 0)
	for _, elapsed := range []int64{11 + kept, 1_010 + kept} {
		answer(elapsed, 0)
		check(elapsed+1, elapsed, timingDisputed)
	}
	// An answer that is ahead drops nothing, even after the time.
	answer(1_011+kept, years)
	answer(1_012+kept, 0)
	check(1_013+kept, 1_012+kept, timingDisputed)
	answer(1_013+2*kept, 0)
	check(1_014+2*kept, 1_013+2*kept, timingCurrent)
}

func TestWhatAnAnswerOfTheServiceMeans(t *testing.T) {
	all, f := loadTokens(t)
	f.local.config.AgeLimit = 5 * time.Second
	session, user := UUID{1}, UUID{2}
	reply := func(stale time.Duration) *TokenVerified {
		return &TokenVerified{
			UserID: user, SessionID: session, Stale: &stale,
			IssuedAt: time.Unix(all.Now, 0), ExpiresAt: time.Unix(all.Now+900, 0),
		}
	}
	expect := func(what string, stale time.Duration, expected error) {
		t.Helper()
		_, err := f.local.judge("kid", reply(stale))
		if known, ok := err.(*VerifyError); err == nil && expected != nil || err != nil && (!ok || known.Reason != expected) {
			t.Errorf("%s: %v instead of %v", what, err, expected)
		}
	}
	expect("a current node", 0, nil)
	expect("a node within the limit", 5*time.Second, nil)
	expect("a node that is behind", 5001*time.Millisecond, ErrUnavailable)
	f.local.isLeftToService.Store(true)
	expect("a node that decides alone", 30*time.Second, nil)
	f.answer(all, Revocations{Entries: []Revocation{{Kind: 1, ID: session[:], Before: time.Unix(0, 0)}}})
	expect("a session that is revoked here", 0, ErrTokenRevoked)
	f.answer(all, Revocations{Entries: []Revocation{{Kind: 4, ID: []byte("kid"), Before: time.Unix(0, 0)}}})
	expect("a key that is revoked here", 0, ErrTokenInvalid)
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	const good = `"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","x":"TaJL2FajONgERCR5CIR_Ty9e1UMXme_I78eDhu2qiIU"`
	key := func(members string) string { return `{"keys":[{"kid":"k",` + members + `}]}` }
	ec := func(x string) string {
		return key(`"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","x":"` + x + `","y":"Zj98WrRXKV9o3wxyZmId1X3kMB0JP17BwIHt4Bk6GOM"`)
	}
	ed := func(x string) string {
		return key(`"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","x":"` + x + `"`)
	}
	const zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for jwks, count := range map[string]int{
		key(good):                                         1,
		key(good + `,"key_ops":["verify"]`):               1,
		key(good + `,"key_ops":["sign"]`):                 0,
		key(good + `,"d":"AA"`):                           0,
		key(good + `,"k":"AA"`):                           0,
		`{"keys":[{` + good + `}]}`:                       0,
		`{"keys":[{"kid":"",` + good + `}]}`:              0,
		`{"keys":[7,{"kid":"k",` + good + `}]}`:           1,
		`{"keys":[]}`:                                     0,
		ed(zeros):                                         0,
		ed("AQ" + zeros[2:]):                              0,
		ed("7P______________________________________38"):  0,
		ed("7f______________________________________38"):  0,
		ed("_________________________________________w"):  0,
		ec("Hdt8NPLihgygo8NBnYEJHYklKcWhpRbvO_maRCMhz5A"): 1,
		ec("Hdt8NPLihgygo8NBnYEJHYklKcWhpRbvO_maRCMhz5E"): 0,
		ec(zeros): 0,
		`{"keys":[{"kid":"k",` + good + `},` + ec("Hdt8NPLihgygo8NBnYEJHYklKcWhpRbvO_maRCMhz5A")[9:]: 0,
	} {
		if keys := parseKeys(jwks); keys == nil || len(keys) != count {
			t.Errorf("%s: %d keys instead of %d", jwks, len(keys), count)
		}
	}
	for _, jwks := range []string{"", "[]", "{}", `{"keys":{}}`, `{"keys":[]}x`, `{"keys":[],"keys":[]}`} {
		if parseKeys(jwks) != nil {
			t.Errorf("%s is accepted", jwks)
		}
	}
}

func TestAKidThatIsTooLongNamesNoKey(t *testing.T) {
	for length, count := range map[int]int{maxKid: 1, maxKid + 1: 0} {
		kid := strings.Repeat("k", length)
		keys := parseKeys(`{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"` + kid +
			`","x":"TaJL2FajONgERCR5CIR_Ty9e1UMXme_I78eDhu2qiIU"}]}`)
		if len(keys) != count {
			t.Errorf("%d: %d keys", length, len(keys))
		}
		header := `{"typ":"at+jwt","alg":"EdDSA","kid":"` + kid + `"}`
		token := []byte(base64.RawURLEncoding.EncodeToString([]byte(header)) + ".e30.AA")
		if parsed := parseToken(token); (parsed != nil) != (count == 1) {
			t.Errorf("%d: %v", length, parsed)
		}
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	cache := newTokenCache(1000)
	for i := 0; i < 10_000; i++ {
		cache.insert(&tokenDigest{byte(i), byte(i >> 8), 31: byte(i)}, cachedToken{generation: 1})
	}
	if count := cache.count(); count < 400 || count > 1000 {
		t.Error(count)
	}
	last := &tokenDigest{0x0f, 0x27, 31: 0x0f}
	if _, found := cache.get(last, 1); !found {
		t.Error("the last token is not cached")
	}
	if _, found := cache.get(last, 2); found {
		t.Error("a token of other keys is cached")
	}
}
