package userservice

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheServiceIsAskedForThreeSeconds(t *testing.T) {
	t.Parallel()
	silent, _ := fakeNode(t, 0)
	token := vectorToken(t)
	client := func(address string) *Client {
		return testClient(t, Config{Logger: new(LogLines).Logger()}, address)
	}
	// Like with HS256, it has no keys.
	withoutKeys, err := NewVerifier(client("127.0.0.1:1"), VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(withoutKeys.Close)
	for what, verifier := range map[string]TokenVerifier{
		"silent":       RemoteVerifier(client(silent)),
		"down":         RemoteVerifier(client("127.0.0.1:1")),
		"without keys": withoutKeys,
	} {
		what, verifier := what, verifier
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := verifier.Verify(context.Background(), token)
			if took := time.Since(began); took < 2500*time.Millisecond || took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrDeadline) {
				t.Error(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			began = time.Now()
			if _, err := verifier.Verify(ctx, token); !errors.Is(err, ErrUnavailable) || time.Since(began) > time.Second {
				t.Error(err, time.Since(began))
			}
		})
	}
}

func TestTheNumberOfTokensThatAreAskedAboutIsLimited(t *testing.T) {
	t.Parallel()
	silent, requests := fakeNode(t, 0)
	client := testClient(t, Config{Logger: new(LogLines).Logger()}, silent)
	token := vectorToken(t)
	config := VerifierConfig{MaxAsking: 2, MaxWaiting: 3, AskTimeout: time.Second}.withDefaults()
	client.remote = newAsker(client, config)
	if usual := testClient(t, Config{}, silent).remote; cap(usual.asking) != 128 || cap(usual.waits) != 128+4096 {
		t.Error(cap(usual.asking), cap(usual.waits))
	}
	verifier := RemoteVerifier(client)
	results := make(chan error, 20)
	began := time.Now()
	for i := 0; i < 20; i++ {
		go func() {
			_, err := verifier.Verify(context.Background(), token)
			results <- err
		}()
	}
	for i := 0; i < 15; i++ {
		if err := <-results; !errors.Is(err, ErrUnavailable) || !errors.Is(err, errTooManyTokens) {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > 800*time.Millisecond {
		t.Errorf("refused after %v", took)
	}
	time.Sleep(time.Until(began.Add(800 * time.Millisecond)))
	if sent := requests.Load(); sent != 2 {
		t.Errorf("%d requests", sent)
	}
	for i := 0; i < 5; i++ {
		if err := <-results; !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrDeadline) || errors.Is(err, errTooManyTokens) {
			t.Error(err)
		}
	}
	for i := 0; i < cap(client.remote.asking); i++ {
		client.remote.asking <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := verifier.Verify(ctx, token)
	if says(t, err, "while the service is asked about 2 other tokens"); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

// TestATokenThatCannotBeValidIsNotAskedAbout: the client of a gateway chooses its token, so that
// must not look like an outage or a mistake.
func TestATokenThatCannotBeValidIsNotAskedAbout(t *testing.T) {
	client := testClient(t, Config{}, "127.0.0.1:1")
	for _, token := range []string{"", "a", "a.b.c", "\xff", strings.Repeat("a", 3_000), strings.Repeat("a", 70_000), vectorToken(t).Reveal() + strings.Repeat("A", 2_000)} {
		began := time.Now()
		if _, err := RemoteVerifier(client).Verify(context.Background(), NewSecret(token)); !errors.Is(err, ErrTokenInvalid) || ToHTTP(err).Status != 401 {
			t.Errorf("%d bytes: %v", len(token), err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	}
}
