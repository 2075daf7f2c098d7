package userservice_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/userservice"
)

// load calls the service from several goroutines until it is stopped.
type load struct {
	client   *userservice.Client
	verifier *userservice.Verifier
	stop     chan struct{}
	ended    sync.WaitGroup

	mu      sync.Mutex
	done    map[string]int
	failed  []string
	slowest time.Duration
}

type account struct {
	name    string
	session *userservice.EmailVerified
}

func (l *load) repeat(name string, pause time.Duration, action func() error) {
	l.ended.Add(1)
	go func() {
		defer l.ended.Done()
		for {
			began := time.Now()
			err := action()
			l.mu.Lock()
			l.done[name]++
			if err != nil {
				l.failed = append(l.failed, fmt.Sprintf("%s: %v", name, err))
			}
			if took := time.Since(began); took > l.slowest {
				l.slowest = took
			}
			l.mu.Unlock()
			select {
			case <-time.After(pause):
			case <-l.stop:
				return
			}
		}
	}()
}

func (l *load) read(a account) error {
	token := a.session.AccessToken
	verified, err := l.client.VerifyToken(context.Background(), userservice.VerifyToken{AccessToken: token})
	if err != nil {
		return err
	}
	user, err := l.client.GetUser(context.Background(), userservice.GetUser{AccessToken: token})
	if err == nil && (user.Username != a.name || verified.UserID != a.session.UserID) {
		err = fmt.Errorf("wrong reply: %v", user)
	}
	return err
}

// change opens a session, refreshes it and ends it. The client makes the idempotency keys, unless an
// option forbids it.
func (l *load) change(a account, options ...userservice.CallOption) error {
	ctx := context.Background()
	session, err := l.client.Login(ctx, userservice.Login{Login: a.name, Password: userservice.NewSecret(password)}, options...)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	refreshed, err := l.client.RefreshToken(ctx, userservice.RefreshToken{RefreshToken: session.RefreshToken}, options...)
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	ended, err := l.client.Logout(ctx, userservice.Logout{Token: refreshed.AccessToken}, options...)
	if err == nil && ended.SessionsEnded != 1 {
		err = fmt.Errorf("ended %d sessions", ended.SessionsEnded)
	}
	return err
}

func (l *load) check(a account) error {
	verified, err := l.verifier.Verify(context.Background(), a.session.AccessToken)
	if err == nil && verified.SessionID != a.session.SessionID {
		err = fmt.Errorf("wrong verdict: %v", verified)
	}
	return err
}

func TestRollingRestart(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		signal string
		nodes  int
	}{{"TERM", 2}, {"KILL", 2}, {"TERM", 1}} {
		one := one
		t.Run(fmt.Sprintf("%s of %d", one.signal, one.nodes), func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			nodes := b.cluster(object{"TOKEN_SIGNING": "EdDSA", "DRAIN_DELAY": "0", "GRACE": "5"})[:one.nodes]
			c := client(t, userservice.Config{}, nodes...)
			v, err := userservice.NewVerifier(c, userservice.VerifierConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			ready(t, v)
			l := &load{client: c, verifier: v, stop: make(chan struct{}), done: map[string]int{}}
			for i := 0; i < 4; i++ {
				name := fmt.Sprintf("user%d", i)
				a := account{name, register(t, b, c, name)}
				l.repeat("read", 5*time.Millisecond, func() error { return l.read(a) })
				// A user may open 100 sessions an hour.
				l.repeat("change", 70*time.Millisecond, func() error { return l.change(a) })
				if one.signal == "TERM" {
					// Without keys, which the protocol promises too: a node that shuts down answers
					// what it has read, and executes nothing else.
					l.repeat("plain", 150*time.Millisecond, func() error {
						return l.change(a, userservice.WithoutIdempotencyKey())
					})
				}
				l.repeat("check", 5*time.Millisecond, func() error { return l.check(a) })
			}
			time.Sleep(500 * time.Millisecond)
			for _, node := range nodes {
				b.do("stop", object{"node": node.Node, "signal": one.signal}, nil)
				time.Sleep(300 * time.Millisecond)
				b.do("again", object{"node": node.Node}, nil)
				time.Sleep(1200 * time.Millisecond)
			}
			close(l.stop)
			l.ended.Wait()
			t.Logf("%v, slowest %v", l.done, l.slowest.Round(time.Millisecond))
			if len(l.failed) > 0 {
				t.Errorf("%d calls failed, the first: %s", len(l.failed), l.failed[0])
			}
			for _, action := range []string{"read", "change", "check"} {
				if l.done[action] < 5 {
					t.Errorf("only %d calls of %s", l.done[action], action)
				}
			}
			if l.slowest > 8*time.Second {
				t.Errorf("a call took %v", l.slowest)
			}
		})
	}
}
