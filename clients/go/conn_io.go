package userservice

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// batchSize is the number of bytes that are written at once: one record of TLS.
	batchSize = 16_384
	// lastWords is the time in which the reason for a failed write may arrive.
	lastWords = time.Second
)

func (c *conn) readLoop() {
	source := bufio.NewReaderSize(c.sock, batchSize)
	var header [headerSize]byte
	for {
		if _, err := io.ReadFull(source, header[:4]); err != nil {
			c.readEnded(err)
			return
		}
		// Checked before any memory is reserved.
		length := binary.BigEndian.Uint32(header[:4])
		if err := checkLength(length); err != nil {
			c.close(result{kind: resultLost, err: fmt.Errorf("the server sent an invalid frame: %w", err)})
			return
		}
		if _, err := io.ReadFull(source, header[4:]); err != nil {
			c.readEnded(err)
			return
		}
		body := make([]byte, length-minLength)
		if _, err := io.ReadFull(source, body); err != nil {
			c.readEnded(err)
			return
		}
		c.mu.Lock()
		c.lastRead, c.pingSent = time.Now(), time.Time{}
		c.mu.Unlock()
		if id := binary.BigEndian.Uint32(header[5:]); id == 0 {
			c.connectionError(header[4], body)
		} else {
			c.deliver(header[4], id, body)
		}
		select {
		case <-c.closed:
			return
		default:
		}
	}
}

// connectionError handles a frame with request id 0, which concerns the connection.
func (c *conn) connectionError(kind byte, body []byte) {
	reply := new(errorReply)
	if kind != reply.kind() {
		return
	}
	if err := decodeBody(body, reply); err != nil {
		c.close(result{kind: resultLost, err: fmt.Errorf("the server sent an error that cannot be read: %w", err)})
		return
	}
	if reply.Code == CodeShuttingDown {
		c.drain()
		return
	}
	c.mu.Lock()
	if reply.Code == CodeBusy {
		if c.retryAfter = newServerError(reply).Wait(); c.retryAfter > maxRetryAfter {
			c.retryAfter = maxRetryAfter
		}
	}
	isFirst := !c.served
	c.mu.Unlock()
	c.close(result{kind: resultClosed, reply: reply, isFirst: isFirst})
}

func (c *conn) deliver(kind byte, id uint32, body []byte) {
	isShuttingDown := kind == (*errorReply)(nil).kind() && len(body) >= 2 &&
		ErrorCode(binary.BigEndian.Uint16(body)) == CodeShuttingDown
	c.mu.Lock()
	p := c.pending[id]
	if p == nil || !p.begun {
		c.mu.Unlock()
		return
	}
	delete(c.pending, id)
	if !c.served && !isShuttingDown && !p.own && !p.probe {
		c.served = true
		if c.phase == phaseOpen {
			// Asks for the limits of the server. Not before it has answered anything: BUSY with id 0
			// means that nothing was done only if it comes before any reply.
			c.ping(time.Now())
		}
	}
	c.mu.Unlock()
	if kind == (*Pong)(nil).kind() {
		c.applyLimits(body)
	}
	c.free(p)
	p.result <- result{kind: resultAnswered, frameKind: kind, body: body}
	c.closeIfDone()
}

// applyLimits adopts the limits that the server advertises in a pong.
func (c *conn) applyLimits(body []byte) {
	var pong Pong
	if decodeBody(body, &pong) != nil {
		return
	}
	if pong.IdleTimeout != nil {
		c.mu.Lock()
		c.idleTimeout = *pong.IdleTimeout
		c.mu.Unlock()
		signal(c.recheck)
	}
	for limit, slots := range map[*uint32]*slots{pong.MaxInFlight: c.inFlight, pong.MaxHashing: c.hashing} {
		switch {
		case limit == nil:
		case *limit < 1:
			slots.setLimit(1)
		case *limit > maxAdvertised:
			slots.setLimit(maxAdvertised)
		default:
			slots.setLimit(int(*limit))
		}
	}
}

// readEnded handles the end of the incoming stream.
func (c *conn) readEnded(err error) {
	c.mu.Lock()
	served, writeErr := c.served, c.writeErr
	c.mu.Unlock()
	// A server reads no request before it has accepted the client's certificate.
	if rejection := rejectedCertificate(err); rejection != nil && !served {
		c.close(result{kind: resultRejected, err: rejection})
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && writeErr != nil {
		err = writeErr
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the server closed it")
	}
	c.close(result{kind: resultLost, err: err})
}

func (c *conn) writeLoop() {
	batch := make([]byte, 0, batchSize)
	for {
		frames, bytes := c.takeBatch(batch[:0])
		if len(frames) == 0 {
			select {
			case <-c.wake:
				continue
			case <-c.closed:
				return
			}
		}
		for len(bytes) > 0 {
			c.mu.Lock()
			c.writing = true
			c.mu.Unlock()
			count, err := c.sock.Write(bytes)
			wipe(bytes[:count])
			bytes = bytes[count:]
			c.mu.Lock()
			c.writing = false
			c.written += uint64(count)
			interrupted := errors.Is(err, os.ErrDeadlineExceeded) && c.phase != phaseClosed
			if interrupted {
				rest := c.putBack(frames)
				wipe(bytes[rest:])
				bytes = bytes[:rest]
				// Set by interrupt, which may set it again at any time.
				_ = c.sock.SetWriteDeadline(time.Time{})
			} else if err != nil {
				c.writeErr = err
			}
			close(c.progress)
			c.progress = make(chan struct{})
			c.mu.Unlock()
			if err != nil && !interrupted {
				c.retire()
				// The reader may find the reason, such as an alert or an error with id 0.
				_ = c.sock.SetReadDeadline(time.Now().Add(lastWords))
				return
			}
		}
		for _, p := range frames {
			if p.begun {
				wipe(p.frame)
			}
		}
	}
}

// takeBatch takes frames from the queue, and appends their bytes to a batch.
func (c *conn) takeBatch(batch []byte) ([]*pending, []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var frames []*pending
	for len(c.queue) > 0 && (len(batch) == 0 || len(batch)+len(c.queue[0].frame) <= batchSize) {
		p := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.queuedBytes -= len(p.frame)
		p.begun, p.begin = true, c.taken
		c.taken += uint64(len(p.frame))
		p.end = c.taken
		frames, batch = append(frames, p), append(batch, p.frame...)
	}
	return frames, batch
}

// putBack returns frames of which nothing was written to the queue, except for those that have been
// answered all the same. It returns the number of bytes that remain to be written of the others. The
// lock is held.
func (c *conn) putBack(frames []*pending) int {
	var back []*pending
	for _, p := range frames {
		if p.begun && p.begin >= c.written {
			c.taken -= uint64(len(p.frame))
			p.begun = false
			if c.pending[p.id] == p {
				c.queuedBytes += len(p.frame)
				back = append(back, p)
			}
		}
	}
	if c.phase == phaseOpen {
		c.queue = append(back, c.queue...)
	} else {
		c.queuedBytes = 0
		for _, p := range back {
			delete(c.pending, p.id)
			p.result <- result{kind: resultNotSent}
			go c.free(p)
		}
	}
	return int(c.taken - c.written)
}

// interrupt makes the writer report what it has written. It returns false if that is impossible:
// a record of TLS must be completed. The lock is held.
func (c *conn) interrupt() bool {
	if _, isTLS := c.sock.(*tls.Conn); isTLS {
		return false
	}
	return c.sock.SetWriteDeadline(time.Unix(1, 0)) == nil
}

// wipe overwrites bytes that may contain secrets.
func wipe(bytes []byte) {
	for i := range bytes {
		bytes[i] = 0
	}
}
