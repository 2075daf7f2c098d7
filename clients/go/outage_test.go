package userservice

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// logged checks the lines of a log: each expected text is the beginning of one.
func logged(t testing.TB, lines *LogLines, expected ...string) {
	t.Helper()
	found := lines.All()
	ok := len(found) == len(expected)
	for i := 0; ok && i < len(found); i++ {
		ok = strings.HasPrefix(found[i], expected[i])
	}
	if !ok {
		t.Errorf("logged %q instead of %q", found, expected)
	}
}

const (
	beginLine = "userservice: the user service is not available: "
	endLine   = "userservice: the user service is available again, after "
)

func TestAnOutageIsLoggedWhenItBeginsAndWhenItEnds(t *testing.T) {
	lines := new(LogLines)
	o := &outage{logger: lines.Logger()}
	o.answered(sourceAsk)
	logged(t, lines)
	for i := 0; i < 100; i++ {
		o.failed(sourceAsk, errors.New("the reason"))
		o.failed(sourceWatch, errors.New("another reason"))
	}
	logged(t, lines, beginLine+"the reason")
	o.answered(sourceAsk)
	logged(t, lines, beginLine)
	o.answered(sourceWatch)
	o.answered(sourceWatch)
	logged(t, lines, beginLine, endLine)
	// A service that fails now and then does not fill the log.
	for i := 0; i < 100; i++ {
		o.failed(sourceAsk, errors.New("the reason"))
		o.answered(sourceAsk)
	}
	logged(t, lines, beginLine, endLine)
	// An outage that lasts is logged all the same.
	o.failed(sourceAsk, errors.New("the reason"))
	o.logged = o.logged.Add(-outageInterval)
	o.failed(sourceAsk, errors.New("the last\nreason \x1b[31m"+strings.Repeat("x", 10_000)))
	logged(t, lines, beginLine, endLine, beginLine+"the last\ufffdreason \ufffd[31m")
	if last := lines.All()[2]; len(last) > 700 {
		t.Errorf("a line of %d bytes", len(last))
	}
	o.forget()
	o.answered(sourceAsk)
	if len(lines.All()) != 3 {
		t.Error(lines.All())
	}
	if usual := testClient(t, Config{}, "127.0.0.1:1").outage.logger; usual != log.Default() {
		t.Error("the default is not log.Default()")
	}
}

func TestARemoteVerifierLogsAnOutage(t *testing.T) {
	t.Parallel()
	lines := new(LogLines)
	unavailable, _ := fakeNode(t, CodeUnavailable)
	client := testClient(t, Config{Logger: lines.Logger()}, unavailable)
	token := vectorToken(t)
	verify := func(client *Client, ctx context.Context) error {
		_, err := RemoteVerifier(client).Verify(ctx, token)
		return err
	}
	for i := 0; i < 3; i++ {
		if err := verify(client, context.Background()); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	}
	logged(t, lines, beginLine+"UNAVAILABLE (0602)")
	refusing, _ := fakeNode(t, CodeSessionRevoked)
	answered := testClient(t, Config{}, refusing)
	answered.outage = client.outage
	if err := verify(answered, context.Background()); !errors.Is(err, ErrTokenRevoked) {
		t.Error(err)
	}
	logged(t, lines, beginLine, endLine)

	// Who gives up, makes a mistake or closes the client says nothing about the service.
	lines = new(LogLines)
	silent, _ := fakeNode(t, 0)
	client = testClient(t, Config{Logger: lines.Logger()}, silent)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := verify(client, ctx); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if err := verify(client, nil); !errors.Is(err, ErrInvalidRequest) {
		t.Error(err)
	}
	client.stop()
	if err := verify(client, context.Background()); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	logged(t, lines, "userservice: a token cannot be checked: invalid request: expected a context")
}

// TestAMistakeIsLoggedOnce: the answer of Middleware does not say what is wrong.
func TestAMistakeIsLoggedOnce(t *testing.T) {
	lines := new(LogLines)
	verifier := RemoteVerifier(testClient(t, Config{Logger: lines.Logger()}, "users.example:3001"))
	handler := Middleware(verifier)(http.NotFoundHandler())
	for i := 0; i < 3; i++ {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header.Set("Authorization", "Bearer "+vectorToken(t).Reveal())
		recorded := httptest.NewRecorder()
		handler.ServeHTTP(recorded, request)
		if body := recorded.Body.String(); recorded.Code != 500 || body != "{\"error\":\"internal\"}\n" {
			t.Error(recorded.Code, body)
		}
	}
	logged(t, lines, "userservice: a token cannot be checked: refusing to send a secret without TLS")
	if text := strings.Join(lines.All(), ""); !strings.Contains(text, "users.example:3001: expected Config.TLS") {
		t.Error(text)
	}
}

func TestAVerifierThatIsNotTrustedSaysSo(t *testing.T) {
	t.Parallel()
	lines := new(LogLines)
	address, requests := fakeNode(t, CodeNotPermitted)
	client := testClient(t, Config{Logger: lines.Logger()}, address)
	verifier, err := NewVerifier(client, VerifierConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer verifier.Close()
	for began := time.Now(); requests.Load() < 3 && time.Since(began) < 5*time.Second; {
		time.Sleep(10 * time.Millisecond)
	}
	logged(t, lines, "userservice: the service does not trust this client, and is asked about each token: NOT_PERMITTED")
}

func TestAnotherIssuerIsLoggedOnce(t *testing.T) {
	all, f := loadTokens(t)
	token, _ := genuine(t, all)
	for name, change := range map[string]func(*VerifierConfig){
		"other-issuer":   func(c *VerifierConfig) { c.Issuer = "other-issuer" },
		"other-audience": func(c *VerifierConfig) { c.Audience = "other-audience" },
	} {
		lines := new(LogLines)
		local := newLocalState(f.local.config)
		local.logger = lines.Logger()
		change(&local.config)
		other := &follower{local: local}
		other.keys(t, all)
		other.answer(all, Revocations{})
		for i := 0; i < 3; i++ {
			if verdict := other.verdict(token); verdict != "ask" {
				t.Errorf("%s: %s", name, verdict)
			}
		}
		logged(t, lines, "userservice: the service signs tokens for another issuer than")
		if text := strings.Join(lines.All(), ""); !strings.Contains(text, name) || strings.Contains(text, token) {
			t.Error(text)
		}
	}
}
