package userservice

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// fakeNode answers pings, and every other request with `refusal`, or not at all if that is 0. It
// returns its address, and counts those requests.
func fakeNode(t *testing.T, refusal ErrorCode) (string, *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	requests := new(atomic.Int64)
	go func() {
		for {
			sock, err := listener.Accept()
			if err != nil {
				return
			}
			go serveFake(sock, refusal, requests)
		}
	}()
	return listener.Addr().String(), requests
}

func serveFake(sock net.Conn, refusal ErrorCode, requests *atomic.Int64) {
	defer func() { _ = sock.Close() }()
	source := bufio.NewReader(sock)
	for {
		var header [headerSize]byte
		if _, err := io.ReadFull(source, header[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, source, int64(binary.BigEndian.Uint32(header[:]))-minLength); err != nil {
			return
		}
		id := binary.BigEndian.Uint32(header[5:])
		var reply replyMessage = &Pong{}
		if header[4] != new(Ping).info().kind {
			requests.Add(1)
			if refusal == 0 {
				continue
			}
			reply = &errorReply{Code: refusal}
		}
		frame, err := appendFrame(reply.kind(), id, reply, nil)
		if err != nil {
			return
		}
		if _, err := sock.Write(frame); err != nil {
			return
		}
	}
}

// TestARefusalEndsTheCall: a node that does not answer must not delay the refusal of another.
func TestARefusalEndsTheCall(t *testing.T) {
	t.Parallel()
	for _, code := range []ErrorCode{CodeInvalidToken, CodeRateLimited} {
		stuck, requests := fakeNode(t, 0)
		healthy, _ := fakeNode(t, code)
		client, err := New(Config{SlowAfter: 50 * time.Millisecond}, stuck, healthy)
		if err != nil {
			t.Fatal(err)
		}
		defer client.stop()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for try := 0; requests.Load() == 0 && try < 100; try++ {
			began := time.Now()
			_, err := client.GetUser(ctx, GetUser{AccessToken: NewSecret("token")})
			var refusal *ServerError
			if !errors.As(err, &refusal) || refusal.Code != code {
				t.Fatalf("%v instead of %v", err, code)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%v took %v", code, took)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if requests.Load() == 0 {
			t.Error("the node that does not answer was not asked")
		}
	}
}

// TestTheEndOfAConnectionWhileWriting: a request that was not written completely was not executed,
// unless another connection would end in the same way.
func TestTheEndOfAConnectionWhileWriting(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		code     ErrorCode
		served   bool
		expected resultKind
	}{
		{CodeBusy, true, resultNotSent},
		{CodeBusy, false, resultClosed},
		{CodeInternal, true, resultNotSent},
		{CodeMalformed, true, resultClosed},
		{CodeFrameTooLong, false, resultClosed},
	} {
		near, far := net.Pipe()
		config := Config{}.withDefaults()
		c := newConn(near, &config, func(*conn) {})
		c.served = one.served
		c.start()
		request := &GetUser{AccessToken: NewSecret("token")}
		p, err := c.send(context.Background(), request, func() *common { return nil }, false)
		if err != nil || p == nil {
			t.Fatal(p, err)
		}
		// A pipe has no buffer, so the rest of the frame is not written.
		if _, err := io.ReadFull(far, make([]byte, headerSize)); err != nil {
			t.Fatal(err)
		}
		frame, err := appendFrame((*errorReply)(nil).kind(), 0, &errorReply{Code: one.code}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write(frame); err != nil {
			t.Fatal(err)
		}
		select {
		case ended := <-p.result:
			if ended.kind != one.expected {
				t.Errorf("%v: %d instead of %d", one.code, ended.kind, one.expected)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%v: the request does not end", one.code)
		}
		_ = far.Close()
	}
}
