package userservice

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// pipeConn returns a connection without a buffer, so that the test decides how much is written.
func pipeConn(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	config := Config{}.withDefaults()
	c := newConn(near, &config, func(*conn) {})
	t.Cleanup(func() {
		_ = far.Close()
		c.close(result{kind: resultLost, err: errClosedByClient})
	})
	return c, far
}

// TestAFrameIsWrittenCompletelyIfALaterOneIsAbandoned: the rest of a frame that was written in part
// must not be changed by taking back the frames after it.
func TestAFrameIsWrittenCompletelyIfALaterOneIsAbandoned(t *testing.T) {
	t.Parallel()
	first, second := strings.Repeat("first", 20), strings.Repeat("other", 400)
	for cut := 1; cut < headerSize+2+len(first); cut += 7 {
		c, far := pipeConn(t)
		send := func(text string) *pending {
			p, err := c.send(context.Background(), &GetUser{AccessToken: NewSecret(text)}, func() *common { return nil }, false)
			if err != nil || p == nil {
				t.Fatal(p, err)
			}
			return p
		}
		kept, abandoned := send(first), send(second)
		c.start()
		begin := make([]byte, cut)
		if _, err := io.ReadFull(far, begin); err != nil {
			t.Fatal(err)
		}
		if !c.abandon(abandoned) {
			t.Error("a frame that was not begun counts as sent")
		}
		third := send("third")
		for _, expected := range []struct {
			p    *pending
			text string
		}{{kept, first}, {third, "third"}} {
			_ = far.SetReadDeadline(time.Now().Add(5 * time.Second))
			header := append(begin, make([]byte, 4)...)[:atLeast4(len(begin))]
			if _, err := io.ReadFull(far, header[len(begin):]); err != nil {
				t.Fatal(err)
			}
			frame := append(header, make([]byte, int(binary.BigEndian.Uint32(header))+4-len(header))...)
			if _, err := io.ReadFull(far, frame[len(header):]); err != nil {
				t.Fatal(err)
			}
			begin = nil
			decoded, err := Decode("request", frame)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			request, ok := decoded.Message.(*GetUser)
			if !ok || decoded.ID != expected.p.id || request.AccessToken.Reveal() != expected.text {
				t.Fatalf("cut at %d: %d: %q", cut, decoded.ID, frame)
			}
		}
	}
}

func atLeast4(size int) int {
	if size < 4 {
		return 4
	}
	return size
}
