package userservice

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// ownGoroutines returns the stacks of goroutines that run code of this package, except for tests
// that wait for their turn.
func ownGoroutines() []string {
	stacks := make([]byte, 1<<22)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var own []string
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "userservice.(*") || strings.Contains(stack, "userservice.dial") {
			own = append(own, stack)
		}
	}
	return own
}

// TestNothingRunsAfterClose is not parallel: it counts the goroutines of all clients.
func TestNothingRunsAfterClose(t *testing.T) {
	silent, _ := fakeNode(t, 0)
	refusing, _ := fakeNode(t, CodeInvalidToken)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	tls, err := LoadTLS(TLSFiles{})
	if err != nil {
		t.Fatal(err)
	}
	lines := new(LogLines)
	for what, one := range map[string]struct {
		config    Config
		addresses []string
	}{
		"a server":                   {Config{}, []string{refusing}},
		"a server that is silent":    {Config{}, []string{silent}},
		"a server that is down":      {Config{}, []string{"127.0.0.1:1"}},
		"several":                    {Config{}, []string{silent, refusing, "127.0.0.1:1"}},
		"a handshake without an end": {Config{TLS: tls}, []string{mute.Addr().String()}},
	} {
		one.config.Logger = lines.Logger()
		client, err := New(one.config, one.addresses...)
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := NewVerifier(client, VerifierConfig{AskTimeout: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		for i := 0; i < 10; i++ {
			go func() { _, _ = client.GetUser(ctx, GetUser{}) }()
			go func() { _, _ = client.Login(ctx, Login{}) }()
			go func() { _, _ = verifier.Verify(ctx, vectorToken(t)) }()
		}
		<-ctx.Done()
		cancel()
		if len(ownGoroutines()) == 0 {
			t.Error("no goroutine is found")
		}
		began := time.Now()
		_ = client.Close()
		verifier.Close()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: closed after %v", what, took)
		}
		left := ownGoroutines()
		for ; len(left) > 0 && time.Since(began) < 5*time.Second; left = ownGoroutines() {
			time.Sleep(20 * time.Millisecond)
		}
		counts := []int64{client.active.Load(), int64(len(verifier.asker.asking)), int64(len(verifier.asker.waits))}
		for _, node := range client.nodes.all {
			counts = append(counts, node.inFlight.Load(), int64(len(node.retired)))
		}
		for _, count := range counts {
			if count != 0 {
				t.Errorf("%s: something is in use: %d", what, counts)
				break
			}
		}
		if len(left) > 0 {
			t.Errorf("%s: %d goroutines are left, such as\n%s", what, len(left), left[0])
		}
	}
}
