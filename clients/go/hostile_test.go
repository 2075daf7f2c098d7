package userservice

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// FuzzServer lets a server send any bytes. Each call ends when the connection does, and nothing
// that belongs to the connection stays.
func FuzzServer(f *testing.F) {
	reply := func(id uint32, reply replyMessage) []byte {
		frame, err := appendFrame(reply.kind(), id, reply, nil)
		if err != nil {
			f.Fatal(err)
		}
		return frame
	}
	user := reply(1, &User{Username: "ada", CreatedAt: time.Unix(0, 0)})
	f.Add([]byte{})
	f.Add(append(user, user...))
	f.Add(append(reply(0, &errorReply{Code: CodeShuttingDown}), user...))
	f.Add(append(reply(1, &errorReply{Code: CodeShuttingDown}), reply(2, &errorReply{Code: CodeBusy})...))
	f.Add(reply(0, &errorReply{Code: CodeBusy, RetryAfter: Some(time.Duration(0))}))
	f.Add(append(reply(1, &Pong{MaxInFlight: Some(uint32(0)), IdleTimeout: Some(time.Duration(0)), MaxHashing: Some(uint32(1 << 31))}), user...))
	f.Add(append(reply(3, &Pong{}), reply(4, &Pong{})...))
	f.Add([]byte{0, 1, 0, 0, 0x80})
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{0x15, 3, 3, 0, 2, 2, 70})
	f.Fuzz(func(t *testing.T, stream []byte) {
		near, far := net.Pipe()
		config := Config{}.withDefaults()
		c := newConn(near, &config, func(*conn) {})
		c.start()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		var sent []*pending
		for _, request := range []requestMessage{&GetUser{}, &Login{}, &Ping{}} {
			p, err := c.send(context.Background(), request, func() *common { return nil }, false)
			if p == nil {
				t.Fatal(err)
			}
			sent = append(sent, p)
		}
		_ = far.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = far.Write(stream)
		_ = far.Close()
		for i, p := range sent {
			select {
			case <-p.result:
			case <-time.After(5 * time.Second):
				t.Fatalf("the call %d does not end", i)
			}
		}
		select {
		case <-c.closed:
		case <-time.After(5 * time.Second):
			t.Fatal("the connection stays open")
		}
		for _, slots := range []*slots{c.inFlight, c.hashing} {
			slots.mu.Lock()
			if slots.used < 0 || slots.limit < 1 || slots.limit > maxAdvertised {
				t.Errorf("%d slots of %d are in use", slots.used, slots.limit)
			}
			slots.mu.Unlock()
		}
	})
}

// FuzzToken parses any text as a token and as a JWK Set.
func FuzzToken(f *testing.F) {
	all, _ := loadTokens(f)
	for _, v := range all.Vectors {
		f.Add(v.Token)
	}
	f.Add(string(all.JWKS))
	_, loaded := loadTokens(f)
	f.Fuzz(func(t *testing.T, text string) {
		if parsed := parseToken([]byte(text)); parsed != nil {
			if len(text) > maxToken || len(parsed.kid) > maxKid {
				t.Error("a token that is too long")
			}
			parsed.readClaims(all.Issuer, all.Audience)
		}
		if verified, err, decided := loaded.local.check([]byte(text)); decided && err == nil && verified.UserID == (UUID{}) {
			t.Error("a valid token without a user")
		}
		if keys := parseKeys(text); keys != nil && !json.Valid([]byte(text)) {
			t.Error("a JWK Set that is not JSON")
		}
		if object, ok := parseObject([]byte(text)); ok {
			var other map[string]any
			if json.Unmarshal([]byte(text), &other) != nil || len(other) != len(object) {
				t.Error("encoding/json reads something else")
			}
		}
	})
}

// hostileServer accepts one connection at a time, and lets `answer` write to it for each request.
func hostileServer(t *testing.T, answer func(sock net.Conn, kind byte, id uint32) bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			sock, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = sock.Close() }()
				for {
					var header [headerSize]byte
					if _, err := io.ReadFull(sock, header[:]); err != nil {
						return
					}
					if _, err := io.CopyN(io.Discard, sock, int64(binary.BigEndian.Uint32(header[:]))-minLength); err != nil {
						return
					}
					if !answer(sock, header[4], binary.BigEndian.Uint32(header[5:])) {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// write writes a reply, and returns false if the connection has ended.
func write(t *testing.T, sock net.Conn, id uint32, reply replyMessage) bool {
	t.Helper()
	frame, err := appendFrame(reply.kind(), id, reply, nil)
	if err != nil {
		t.Error(err)
		return false
	}
	_, err = sock.Write(frame)
	return err == nil
}

func TestAServerAtItsLimitIsAskedAgainWithinMinutes(t *testing.T) {
	t.Parallel()
	address := hostileServer(t, func(sock net.Conn, _ byte, _ uint32) bool {
		write(t, sock, 0, &errorReply{Code: CodeBusy, RetryAfter: Some(0xFFFF_FFFF * time.Millisecond)})
		return false
	})
	client := testClient(t, Config{}, address)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := client.Ping(ctx); err == nil {
		t.Error("no error")
	}
	client.nodes.mu.Lock()
	defer client.nodes.mu.Unlock()
	if wait := time.Until(client.nodes.all[0].next); wait < 30*time.Second || wait > 2*time.Minute {
		t.Errorf("the next attempt to connect is in %v", wait)
	}
}

// TestAReplyToARequestThatWasNotWritten: it must not be sent after its call has ended, nor give back
// its slot twice.
func TestAReplyToARequestThatWasNotWritten(t *testing.T) {
	t.Parallel()
	c, far := pipeConn(t)
	var sent []*pending
	for i := 0; i < 3; i++ {
		p, err := c.send(context.Background(), &GetUser{AccessToken: NewSecret("token")}, func() *common { return nil }, false)
		if p == nil {
			t.Fatal(err)
		}
		sent = append(sent, p)
	}
	c.start()
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if !write(t, far, sent[1].id, &User{CreatedAt: time.Unix(0, 0)}) {
		t.Fatal("the connection ended")
	}
	if answer := <-sent[1].result; answer.kind != resultAnswered {
		t.Error(answer.kind)
	}
	if !c.abandon(sent[2]) {
		t.Error("a request that was not begun counts as sent")
	}
	c.mu.Lock()
	for _, queued := range c.queue {
		if !queued.own {
			t.Errorf("the request %d is queued", queued.id)
		}
	}
	c.mu.Unlock()
	_ = far.Close()
	if answer := <-sent[0].result; answer.kind != resultNotSent {
		t.Error(answer.kind)
	}
	<-c.closed
	// The call that the end of the connection has ended keeps its slot.
	if used := c.inFlight.used; used != 1 {
		t.Errorf("%d slots are in use", used)
	}
}

func TestPingsWithoutAnAnswerDoNotAddUp(t *testing.T) {
	t.Parallel()
	c, far := pipeConn(t)
	defer func() { _ = far.Close() }()
	c.idleTimeout = time.Millisecond
	now, dead := time.Now(), false
	began := now
	for !dead && now.Sub(began) < 10*time.Minute {
		var wait time.Duration
		wait, dead = c.tick(now)
		// Other frames arrive.
		c.pingSent = time.Time{}
		now = now.Add(wait)
	}
	if lasted := now.Sub(began); lasted < 50*time.Second || lasted > 70*time.Second || len(c.pending) > 1_000 {
		t.Errorf("%v, with %d pings", lasted, len(c.pending))
	}
}

// slowCloser is a connection that is closed slowly, like one with TLS to a server that does not read.
type slowCloser struct {
	net.Conn
	closing chan struct{}
	proceed chan struct{}
}

func (s *slowCloser) Close() error {
	close(s.closing)
	<-s.proceed
	return s.Conn.Close()
}

func TestAConnectionThatIsClosedSlowlyHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	c, _ := pipeConn(t)
	sock := &slowCloser{c.sock, make(chan struct{}), make(chan struct{})}
	c.sock = sock
	c.start()
	go c.close(result{kind: resultLost, err: errUnresponsive})
	<-sock.closing
	isOpen := make(chan bool)
	go func() { isOpen <- c.isOpen() }()
	select {
	case open := <-isOpen:
		if open {
			t.Error("open")
		}
	case <-time.After(2 * time.Second):
		t.Error("the state cannot be read")
	}
	close(sock.proceed)
	<-c.closed
}

func TestCloseIsBoundedIfTheServerReadsSlowly(t *testing.T) {
	t.Parallel()
	c, far := pipeConn(t)
	for i := 0; i < 60; i++ {
		if p, err := c.send(context.Background(), &GetUser{AccessToken: secretOfSize(1_000)}, func() *common { return nil }, false); p == nil {
			t.Fatal(err)
		}
	}
	c.start()
	go func() {
		// Progress, again and again: batches are written in pieces.
		for {
			if _, err := io.ReadFull(far, make([]byte, 16_000)); err != nil {
				return
			}
			time.Sleep(400 * time.Millisecond)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	c.finish(ctx)
	if took := time.Since(began); took > 350*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

// secretOfSize returns a secret of so many bytes.
func secretOfSize(size int) Secret {
	return NewSecret(string(make([]byte, size)))
}

// TestAnAnswerWithoutEntriesIsNotAskedForInALoop, whatever the server says about further entries.
func TestAnAnswerWithoutEntriesIsNotAskedForInALoop(t *testing.T) {
	t.Parallel()
	var watches atomic.Int64
	address := hostileServer(t, func(sock net.Conn, kind byte, id uint32) bool {
		switch kind {
		case infoGetKeys.kind:
			return write(t, sock, id, &Keys{JWKS: `{"keys":[]}`, AccessLife: time.Minute, RefreshAfter: time.Minute})
		case infoWatchRevocations.kind:
			watches.Add(1)
			return write(t, sock, id, &Revocations{More: 1, Now: time.Now()})
		}
		return write(t, sock, id, &Pong{})
	})
	verifier, err := NewVerifier(testClient(t, Config{}, address), VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	time.Sleep(500 * time.Millisecond)
	if count := watches.Load(); count < 3 || count > 60 {
		t.Errorf("%d calls in half a second", count)
	}
}

// FuzzFollower applies any answers of the service. None of them makes a revoked token valid again,
// or an age negative.
func FuzzFollower(f *testing.F) {
	all, loaded := loadTokens(f)
	config := loaded.local.config
	token, found := genuine(f, all)
	now := time.Unix(all.Now, 0)
	body := func(reply replyMessage) []byte {
		frame, err := appendFrame(reply.kind(), 1, reply, nil)
		if err != nil {
			f.Fatal(err)
		}
		return frame[headerSize:]
	}
	f.Add(body(&Keys{JWKS: string(all.JWKS), AccessLife: time.Hour, RefreshAfter: time.Minute, Now: &now}), body(&Revocations{Now: now}))
	f.Add(body(&Keys{JWKS: `{"keys":[]}`}), body(&Revocations{Now: time.UnixMilli(maxInstant), More: 1}))
	f.Add([]byte{}, body(&Revocations{Now: now, Stale: 0xFFFF_FFFF * time.Millisecond, Entries: []Revocation{
		{Kind: 2, ID: found.session[:], Before: time.Unix(maxInstant, 0)}, {Kind: 3, Before: time.Unix(maxInstant, 0)},
		{Kind: 4, ID: []byte("kid"), Before: now}, {Kind: 255, Before: now},
	}}))
	f.Fuzz(func(t *testing.T, keys, revocations []byte) {
		first := &follower{local: newLocalState(config)}
		first.keys(t, all)
		first.answer(all, Revocations{Entries: []Revocation{{Kind: 1, ID: found.session[:], Before: now}}})
		for round := 0; round < 2; round++ {
			at := time.Now()
			var answer Keys
			if decodeBody(keys, &answer) == nil {
				if wait, ok := first.applyKeys(&answer, at, at); ok && (wait < minRefresh || wait > maxRefresh) {
					t.Error(wait)
				}
			}
			var entries Revocations
			if decodeBody(revocations, &entries) == nil {
				first.applyRevocations(&entries, first.round, at, at)
			}
			if verdict := first.verdict(token); verdict == "OK" {
				t.Error("a revoked token is valid")
			}
			if age, _ := first.local.age(); age < 0 || len(first.cursor) > maxCursor {
				t.Error(age, len(first.cursor))
			}
			first.expire(at.Add(time.Minute))
		}
	})
}
