package userservice

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"math/rand"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// strictServer reads requests in pieces of random size, fails the test if one is not valid, and
// answers each with its own secret. It returns the secrets that it has read.
func strictServer(t *testing.T, far net.Conn) func() map[string]bool {
	var mu sync.Mutex
	seen := map[string]bool{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		random := rand.New(rand.NewSource(1))
		read := func(into []byte) error {
			for len(into) > 0 {
				piece := 1 + random.Intn(700)
				if piece > len(into) {
					piece = len(into)
				}
				if random.Intn(8) == 0 {
					time.Sleep(time.Duration(random.Intn(300)) * time.Microsecond)
				}
				if _, err := io.ReadFull(far, into[:piece]); err != nil {
					return err
				}
				into = into[piece:]
			}
			return nil
		}
		for {
			header := make([]byte, 4)
			if read(header) != nil {
				return
			}
			size := binary.BigEndian.Uint32(header)
			if checkLength(size) != nil {
				t.Errorf("the stream is out of step: %x", header)
				return
			}
			frame := append(header, make([]byte, size)...)
			if read(frame[4:]) != nil {
				return
			}
			decoded, err := Decode("request", frame)
			if err != nil {
				t.Errorf("the stream is out of step: %v", err)
				return
			}
			var reply replyMessage = &Pong{}
			if secret, isPing := secretOf(decoded.Message); !isPing {
				mu.Lock()
				if seen[secret] {
					t.Errorf("%.40s was sent twice", secret)
				}
				seen[secret] = true
				mu.Unlock()
				reply = &User{Username: secret, CreatedAt: time.Unix(0, 0)}
			}
			answer, err := appendFrame(reply.kind(), decoded.ID, reply, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := far.Write(answer); err != nil {
				return
			}
		}
	}()
	return func() map[string]bool {
		_ = far.Close()
		<-ended
		return seen
	}
}

func secretOf(request any) (secret string, isPing bool) {
	switch message := request.(type) {
	case *GetUser:
		return message.AccessToken.Reveal(), false
	case *Login:
		return message.Password.Reveal(), false
	}
	return "", true
}

// encrypted returns both ends of a connection with TLS.
func encrypted(t *testing.T, near, far net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	server := tls.Server(far, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: private}},
	})
	client := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	failed := make(chan error, 1)
	go func() { failed <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return client, server
}

// TestCallsThatEndAtAnyMomentLeaveTheStreamInStep: whenever a context ends, the server reads
// complete requests, each at most once, replies go to their own calls, and all slots become free.
func TestCallsThatEndAtAnyMomentLeaveTheStreamInStep(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		limit int
		isTLS bool
	}{{4, false}, {defaultMaxInFlight, false}, {16, true}} {
		c, far := pipeConn(t)
		if one.isTLS {
			c.sock, far = encrypted(t, c.sock, far)
		}
		c.inFlight.setLimit(one.limit)
		c.hashing.setLimit(2)
		c.start()
		stop := strictServer(t, far)
		var mu sync.Mutex
		notSent, answered, given := map[string]bool{}, 0, 0
		var calls sync.WaitGroup
		for worker := 0; worker < 24; worker++ {
			worker := worker
			calls.Add(1)
			go func() {
				defer calls.Done()
				random := rand.New(rand.NewSource(int64(worker)))
				for i := 0; i < 150; i++ {
					secret := fmt.Sprintf("%d.%d.%s", worker, i, strings.Repeat("x", random.Intn(2_000)))
					var request requestMessage = &GetUser{AccessToken: NewSecret(secret)}
					if worker%4 == 0 {
						request = &Login{Login: "a", Password: NewSecret(secret)}
					}
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.Intn(4_000))*time.Microsecond)
					p, err := c.send(ctx, request, func() *common { return nil }, false)
					if p == nil {
						cancel()
						if err == nil {
							t.Error("the connection ended")
						}
						mu.Lock()
						notSent[secret] = true
						mu.Unlock()
						continue
					}
					select {
					case answer := <-p.result:
						reply := new(User)
						if answer.kind != resultAnswered || decodeBody(answer.body, reply) != nil || reply.Username != secret {
							t.Errorf("%.40s: another reply: %d %.40s", secret, answer.kind, reply.Username)
						}
						mu.Lock()
						answered++
						mu.Unlock()
					case <-ctx.Done():
						isNotSent := c.abandon(p)
						mu.Lock()
						given++
						if isNotSent {
							notSent[secret] = true
						}
						mu.Unlock()
					}
					cancel()
				}
			}()
		}
		calls.Wait()
		isFree := func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.pending) == 0 && len(c.queue) == 0 && c.queuedBytes == 0 && c.taken == c.written
		}
		for began := time.Now(); !isFree() && time.Since(began) < 10*time.Second; {
			time.Sleep(5 * time.Millisecond)
		}
		if !isFree() {
			t.Errorf("%d pending, %d queued with %d bytes, %d taken, %d written", len(c.pending), len(c.queue), c.queuedBytes, c.taken, c.written)
		}
		for _, slots := range []*slots{c.inFlight, c.hashing} {
			slots.mu.Lock()
			if slots.used != 0 || slots.waiting.Len() != 0 {
				t.Errorf("%d slots are in use, %d calls wait", slots.used, slots.waiting.Len())
			}
			slots.mu.Unlock()
		}
		seen := stop()
		for secret := range notSent {
			if seen[secret] {
				t.Errorf("%.40s was executed although it counts as not sent", secret)
			}
		}
		if answered == 0 || given == 0 || len(notSent) == 0 {
			t.Error("the test has not reached all states")
		}
		t.Logf("%d answered, %d given up, %d not sent", answered, given, len(notSent))
	}
}
