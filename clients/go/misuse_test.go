package userservice

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// testClient returns a client that is closed after the test.
func testClient(t testing.TB, config Config, addresses ...string) *Client {
	t.Helper()
	client, err := New(config, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// says fails the test if the text of an error lacks a part.
func says(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; expected one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not contain %q", err, part)
		}
	}
}

func TestAWrongAddressSaysWhatIsExpected(t *testing.T) {
	for _, address := range []string{
		"", "users.example", "127.0.0.1:", ":3001", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:http",
		"::1:3001", "tcp://127.0.0.1:3001", "127.0.0.1:3001/", " 127.0.0.1:3001", "127.0.0.1:-1", "a b:1",
	} {
		_, err := New(Config{}, "127.0.0.1:3001", address)
		says(t, err, fmt.Sprintf("%q", address), "HOST:PORT", "1 to 65535")
	}
	_, err := New(Config{})
	says(t, err, "at least one address", "HOST:PORT")
	for _, address := range []string{"users.example:1", "[::1]:65535", "[fe80::1%eth0]:3001", "a-b_c:3001"} {
		if _, err := New(Config{}, address); err != nil {
			t.Error(err)
		}
	}
}

func TestWrongTLSOptionsSayWhatIsExpected(t *testing.T) {
	_, err := LoadTLS(TLSFiles{Certificate: "client.pem"})
	says(t, err, "client.pem", "TLSFiles.Key is empty", "both files")
	_, err = LoadTLS(TLSFiles{Key: "client.key"})
	says(t, err, "client.key", "TLSFiles.Certificate is empty", "both files")
	_, err = LoadTLS(TLSFiles{Certificate: "missing.pem", Key: "missing.key"})
	says(t, err, "missing.pem", "missing.key", "no such file")
	_, err = LoadTLS(TLSFiles{CA: "README.md"})
	says(t, err, "README.md contains no certificate")
	_, err = New(Config{TLS: &tls.Config{MaxVersion: tls.VersionTLS12}}, "users.example:3001")
	says(t, err, "MaxVersion", "TLS 1.3")
	_, err = New(Config{TLS: &tls.Config{InsecureSkipVerify: true}}, "users.example:3001")
	says(t, err, "must verify")
}

func TestAClientAddressMayHaveAPort(t *testing.T) {
	for address, expected := range map[string]string{
		"203.0.113.7":        "203.0.113.7",
		"203.0.113.7:567":    "203.0.113.7",
		"2001:db8::1":        "2001:db8::1",
		"[2001:db8::1]:567":  "2001:db8::1",
		"::ffff:203.0.113.7": "::ffff:203.0.113.7",
		"fe80::1%eth0":       "fe80::1",
		"[fe80::1%eth0]:567": "fe80::1",
	} {
		tags, err := resolveOptions(context.Background(), &infoLogin, []CallOption{WithClientAddress(address)})
		if err != nil || *tags.clientAddress != expected {
			t.Errorf("%s: %v", address, err)
		} else if !validAddress(*tags.clientAddress) {
			t.Errorf("%s cannot be sent", *tags.clientAddress)
		}
	}
	for _, address := range []string{"", "localhost", "203.0.113.7:", "203.0.113.7:99999", "203.0.113.7, 203.0.113.8", "@", "1.2.3.04", strings.Repeat("x", 10_000)} {
		_, err := resolveOptions(context.Background(), &infoLogin, []CallOption{WithClientAddress(address)})
		says(t, err, "WithClientAddress(", "expected an IP address")
		if err != nil && len(err.Error()) > 200 {
			t.Error("the error contains the whole address")
		}
	}
}

func TestPlaintextSaysWhatIsExpected(t *testing.T) {
	client := testClient(t, Config{}, "127.0.0.1:1", "users.example:3001")
	_, err := client.GetUser(context.Background(), GetUser{AccessToken: NewSecret("t")})
	says(t, err, "users.example:3001", "Config.TLS", "LoadTLS", "Config.AllowPlaintext")
	if !errors.Is(err, ErrPlaintext) || OutcomeOf(err) != NotDone || strings.Contains(err.Error(), "127.0.0.1") {
		t.Error(err)
	}
	_, err = NewVerifier(client, VerifierConfig{})
	says(t, err, "users.example:3001", "Config.TLS")
	// Who can change the keys can forge tokens.
	if _, err = client.GetKeys(context.Background()); !errors.Is(err, ErrPlaintext) {
		t.Error(err)
	}
	if _, err = client.WatchRevocations(context.Background(), WatchRevocations{}); !errors.Is(err, ErrPlaintext) {
		t.Error(err)
	}
}

// TestAMistakeIsAnErrorOfTheProgram: it is not the service that fails, so the answer is not 503.
func TestAMistakeIsAnErrorOfTheProgram(t *testing.T) {
	address, requests := fakeNode(t, CodeInvalidToken)
	client := testClient(t, Config{}, address)
	remote := testClient(t, Config{}, "users.example:3001")
	token := vectorToken(t)
	memory, err := NewVerifier(client, VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	ctx := context.Background()
	verify := func(verifier TokenVerifier, ctx context.Context, options ...CallOption) error {
		_, err := verifier.Verify(ctx, token, options...)
		return err
	}
	getUser := func(client *Client, ctx context.Context, options ...CallOption) error {
		_, err := client.GetUser(ctx, GetUser{AccessToken: token}, options...)
		return err
	}
	before := requests.Load()
	for what, err := range map[string]error{
		"an address":               getUser(client, ctx, WithClientAddress("nowhere")),
		"an option":                getUser(client, ctx, nil),
		"a key":                    getUser(client, ctx, WithIdempotencyKey(IdempotencyKey{})),
		"a context":                getUser(client, nil),
		"a client":                 getUser(nil, ctx),
		"a client without New":     getUser(&Client{}, ctx),
		"plaintext":                getUser(remote, ctx),
		"an address of a verifier": verify(memory, ctx, WithClientAddress("nowhere")),
		"a context of a verifier":  verify(memory, nil),
		"a verifier":               verify((*Verifier)(nil), ctx),
		"a verifier without New":   verify(&Verifier{}, ctx),
		"an address, asked about":  verify(RemoteVerifier(client), ctx, WithClientAddress("nowhere")),
		"a context, asked about":   verify(RemoteVerifier(client), nil),
		"plaintext of a verifier":  verify(RemoteVerifier(remote), ctx),
		"WaitUntilComplete":        (*Verifier)(nil).WaitUntilComplete(ctx),
		"a username that is too long": func() error {
			_, err := client.Register(ctx, Register{Username: strings.Repeat("x", 70_000)})
			return err
		}(),
	} {
		if answer := ToHTTP(err); answer.Status != http.StatusInternalServerError || answer.Name != "internal" {
			t.Errorf("%s: %v: %d", what, err, answer.Status)
		}
		if !errors.Is(err, ErrInvalidRequest) && !errors.Is(err, ErrPlaintext) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
		says(t, err, "userservice: ")
	}
	if _, err := NewVerifier(nil, VerifierConfig{}); !errors.Is(err, ErrInvalidRequest) {
		t.Error(err)
	}
	// GetKeys of the verifier counts too.
	if sent := requests.Load() - before; sent > 5 {
		t.Errorf("%d requests were sent", sent)
	}
}

// vectorToken returns a token that is well-formed.
func vectorToken(t testing.TB) Secret {
	t.Helper()
	all, _ := loadTokens(t)
	token, _ := genuine(t, all)
	return NewSecret(token)
}

func TestNilArgumentsPanicWithAMessage(t *testing.T) {
	client := testClient(t, Config{}, "127.0.0.1:1")
	for what, call := range map[string]func(){
		"Middleware(nil)":    func() { Middleware(nil) },
		"Middleware(nil): ":  func() { Middleware((*Verifier)(nil)) },
		"NewVerifier":        func() { Middleware(&Verifier{}) },
		"RemoteVerifier(nil": func() { RemoteVerifier(nil) },
		"that New has":       func() { RemoteVerifier(&Client{}) },
		"expected a handler": func() { Middleware(RemoteVerifier(client))(nil) },
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "userservice: ") || !strings.Contains(text, what) {
					t.Errorf("%q: %s", what, text)
				}
			}()
			call()
		}()
	}
}

func TestAClientHasOneVerifierAtATime(t *testing.T) {
	client := testClient(t, Config{}, "127.0.0.1:1")
	first, err := NewVerifier(client, VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewVerifier(client, VerifierConfig{})
	says(t, err, "the client has a verifier already")
	if !errors.Is(err, ErrInvalidRequest) {
		t.Error(err)
	}
	first.Close()
	second, err := NewVerifier(client, VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	// Closing the first one again does not concern the second.
	first.Close()
	if _, err = NewVerifier(client, VerifierConfig{}); err == nil {
		t.Error("a third verifier")
	}
	second.Close()
	_ = client.Close()
	if _, err = NewVerifier(client, VerifierConfig{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestWaitUntilCompleteSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	silent, _ := fakeNode(t, 0)
	refusing, _ := fakeNode(t, CodeInternal)
	for address, expected := range map[string]string{
		"127.0.0.1:1": "connection refused",
		silent:        "the service has not answered yet",
		refusing:      "INTERNAL",
	} {
		verifier, err := NewVerifier(testClient(t, Config{Logger: new(LogLines).Logger()}, address), VerifierConfig{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		err = verifier.WaitUntilComplete(ctx)
		says(t, err, "the keys and the revocations of the service", expected)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrDeadline) {
			t.Error(err)
		}
		for what, found := range map[string]error{
			"connection refused": verifier.client.Status()[0].LastError,
			"INTERNAL":           verifier.Status().LastError,
		} {
			if what == expected {
				says(t, found, expected)
			}
		}
		verifier.Close()
		if err := verifier.WaitUntilComplete(context.Background()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

func TestAVerifierEndsWithItsClient(t *testing.T) {
	client, err := New(Config{}, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := NewVerifier(client, VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	ended := make(chan struct{})
	go func() {
		verifier.task.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the verifier still follows")
	}
	if err := verifier.WaitUntilComplete(context.Background()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestACallWaitsForTheServiceUnlessItShallFailFast(t *testing.T) {
	t.Parallel()
	for _, failFast := range []bool{false, true} {
		client := testClient(t, Config{FailFast: failFast}, "127.0.0.1:1")
		ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := client.Login(ctx, Login{})
		took, expected := time.Since(began), ErrDeadline
		if failFast {
			expected = ErrConnect
		}
		if !errors.Is(err, expected) || OutcomeOf(err) != NotDone || failFast != (took < 200*time.Millisecond) {
			t.Errorf("%v after %v", err, took)
		}
		says(t, err, "connection refused")
		if answer := ToHTTP(err); answer.Status != http.StatusServiceUnavailable {
			t.Error(answer)
		}
	}
}

func TestTheLargestValuesOfAConfigurationWork(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	config := Config{
		Deadline: longest, ConnectTimeout: longest, InitialBackoff: longest, MaxBackoff: longest, PingAfter: longest,
		PingPendingAfter: longest, PongTimeout: longest, SlowAfter: longest, MaxCalls: math.MaxInt,
	}
	refusing, _ := fakeNode(t, CodeInvalidToken)
	client := testClient(t, config, refusing, refusing)
	verifier, err := NewVerifier(client, VerifierConfig{
		AgeLimit: longest, Wait: longest, AskTimeout: longest, CachedTokens: math.MaxInt, MaxRevocations: math.MaxInt,
		MaxAsking: math.MaxInt, MaxWaiting: math.MaxInt,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	if _, err := verifier.Verify(context.Background(), vectorToken(t)); !errors.Is(err, ErrTokenInvalid) {
		t.Error(err)
	}
	if resolved := client.config; resolved.SlowAfter+longest/2 < 0 || resolved.SlowAfter < time.Hour {
		t.Error(resolved.SlowAfter)
	}
}

func TestManyCallsThatWaitForASlotEndAtOnce(t *testing.T) {
	s := newSlots(1)
	ctx, cancel := context.WithCancel(context.Background())
	if ok, err := s.acquire(ctx); !ok {
		t.Fatal(err)
	}
	const count = 7_000
	var ended sync.WaitGroup
	ended.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			defer ended.Done()
			if ok, err := s.acquire(ctx); ok || err == nil {
				t.Error(ok, err)
			}
		}()
	}
	for waiting := 0; waiting < count; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		waiting = s.waiting.Len()
		s.mu.Unlock()
	}
	began := time.Now()
	cancel()
	ended.Wait()
	took := time.Since(began)
	if s.release(); s.used != 0 || s.waiting.Len() != 0 {
		t.Errorf("%d in use, %d wait", s.used, s.waiting.Len())
	}
	t.Logf("%v for %d calls", took, count)
	if took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestAnIdempotencyKeyThatCannotBeReadIsZero(t *testing.T) {
	for _, text := range []string{"", "00", strings.Repeat("x", 32), strings.Repeat("a", 31) + "x"} {
		if key, err := ParseIdempotencyKey(text); err == nil || key != (IdempotencyKey{}) {
			t.Errorf("%q: %v, %v", text, key, err)
		}
	}
	made, err := NewIdempotencyKey()
	if err != nil {
		t.Fatal(err)
	}
	if key, err := ParseIdempotencyKey(made.String()); err != nil || key != made || made == (IdempotencyKey{}) {
		t.Error(key, err)
	}
}
