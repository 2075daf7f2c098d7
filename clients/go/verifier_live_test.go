package userservice_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/userservice"
)

// verifier returns a verifier with a client of its own, which are closed after the test.
func verifier(t testing.TB, config userservice.VerifierConfig, nodes ...server) *userservice.Verifier {
	t.Helper()
	v, err := userservice.NewVerifier(client(t, userservice.Config{}, nodes...), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// loggingVerifier returns a verifier that logs to `lines`.
func loggingVerifier(t testing.TB, lines *userservice.LogLines, config userservice.VerifierConfig, nodes ...server) *userservice.Verifier {
	t.Helper()
	v, err := userservice.NewVerifier(client(t, userservice.Config{Logger: lines.Logger()}, nodes...), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// verdict returns the verdict on a token in one word.
func verdict(v userservice.TokenVerifier, token userservice.Secret) string {
	_, err := v.Verify(context.Background(), token)
	switch {
	case err == nil:
		return "valid"
	case errors.Is(err, userservice.ErrTokenInvalid):
		return "invalid"
	case errors.Is(err, userservice.ErrTokenExpired):
		return "expired"
	case errors.Is(err, userservice.ErrTokenRevoked):
		return "revoked"
	case errors.Is(err, userservice.ErrUnavailable):
		return "unavailable"
	}
	return err.Error()
}

// within waits until something is true, and fails if that takes too long.
func within(t testing.TB, limit time.Duration, what string, isTrue func() bool) {
	t.Helper()
	for began := time.Now(); !isTrue(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func becomes(t testing.TB, v *userservice.Verifier, token userservice.Secret, expected string, limit time.Duration) {
	t.Helper()
	within(t, limit, "the verdict "+expected, func() bool { return verdict(v, token) == expected })
}

func ready(t testing.TB, v *userservice.Verifier) {
	t.Helper()
	within(t, 6*time.Second, "the verifier is ready", v.Ready)
}

func logout(t testing.TB, c *userservice.Client, token userservice.Secret) {
	t.Helper()
	if _, err := c.Logout(context.Background(), userservice.Logout{Token: token}); err != nil {
		t.Fatal(err)
	}
}

func TestTokensAreCheckedInMemoryUntilTheirSessionEnds(t *testing.T) {
	for _, algorithm := range []string{"EdDSA", "ES256"} {
		algorithm := algorithm
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			node := b.start(object{"settings": object{"TOKEN_SIGNING": algorithm}})
			c := client(t, userservice.Config{}, node)
			ada, eve := register(t, b, c, "ada"), register(t, b, c, "eve")
			v := verifier(t, userservice.VerifierConfig{}, node)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := v.WaitUntilComplete(ctx); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < 3; i++ {
				found, err := v.Verify(ctx, ada.AccessToken)
				if err != nil || found.UserID != ada.UserID || found.SessionID != ada.SessionID {
					t.Fatal(found, err)
				}
			}
			if s := v.Status(); s.Asked != 0 || s.CacheHits != 2 || s.Valid != 3 || s.Keys == 0 || s.CachedTokens != 1 {
				t.Errorf("%+v", s)
			}
			logout(t, c, ada.AccessToken)
			becomes(t, v, ada.AccessToken, "revoked", 2*time.Second)
			forged := eve.AccessToken.Reveal()[:20] + "A" + eve.AccessToken.Reveal()[21:]
			for token, expected := range map[string]string{
				eve.AccessToken.Reveal():  "valid",
				forged:                    "invalid",
				"not a token":             "invalid",
				"\xff\xfe":                "invalid",
				longText(1_000_000):       "invalid",
				"":                        "invalid",
				eve.RefreshToken.Reveal(): "invalid",
				longText(9) + "..\n":      "invalid",
			} {
				if found := verdict(v, userservice.NewSecret(token)); found != expected {
					t.Errorf("%s instead of %s", found, expected)
				}
			}
			if asked := v.Status().Asked; asked != 0 {
				t.Errorf("asked %d times", asked)
			}
			_, err := c.DeleteUser(ctx, userservice.DeleteUser{
				AccessToken: eve.AccessToken, CurrentPassword: userservice.NewSecret(password),
			})
			if err != nil {
				t.Fatal(err)
			}
			becomes(t, v, eve.AccessToken, "revoked", 2*time.Second)
		})
	}
}

func longText(size int) string {
	return strings.Repeat("a", size)
}

func TestAServiceWithSecretKeysIsAsked(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	node := b.start(object{"settings": object{"TOKEN_SIGNING": "HS256"}})
	c := client(t, userservice.Config{}, node)
	ada := register(t, b, c, "ada")
	v := verifier(t, userservice.VerifierConfig{}, node)
	for _, one := range []userservice.TokenVerifier{v, userservice.RemoteVerifier(c)} {
		if found := verdict(one, ada.AccessToken); found != "valid" {
			t.Error(found)
		}
	}
	logout(t, c, ada.AccessToken)
	if found := verdict(v, ada.AccessToken); found != "revoked" || v.Ready() || v.Status().Asked != 2 {
		t.Errorf("%s, %+v", found, v.Status())
	}
}

func TestAStoppedNodeOfTwoLeavesTokensCheckedAndRevocable(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	nodes := b.cluster(object{"TOKEN_SIGNING": "EdDSA"})
	c := client(t, userservice.Config{}, nodes...)
	ada, eve := register(t, b, c, "ada"), register(t, b, c, "eve")
	v := verifier(t, userservice.VerifierConfig{}, nodes...)
	ready(t, v)
	for i, paused := range nodes {
		b.do("pause", object{"node": paused.Node}, nil)
		for began := time.Now(); time.Since(began) < 1500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
			if found := verdict(v, eve.AccessToken); found != "valid" {
				t.Fatalf("%s with the node %d stopped: %+v", found, i, v.Status())
			}
		}
		if !v.Ready() {
			t.Errorf("not ready with the node %d stopped: %+v", i, v.Status())
		}
		if i == 0 {
			// Revoked on the node that still runs.
			logout(t, client(t, userservice.Config{}, nodes[1]), ada.AccessToken)
			becomes(t, v, ada.AccessToken, "revoked", 3*time.Second)
		}
		b.do("resume", object{"node": paused.Node}, nil)
	}
	if age := v.Status().Age; age > 5*time.Second {
		t.Error(age)
	}
}

func TestAStoppedSingleNodeMakesTokensUnavailableAndNeverInvalid(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	node := b.start(object{"settings": object{"TOKEN_SIGNING": "EdDSA"}})
	ada := register(t, b, client(t, userservice.Config{}, node), "ada")
	v := verifier(t, userservice.VerifierConfig{
		AgeLimit: 1500 * time.Millisecond, AskTimeout: 500 * time.Millisecond,
	}, node)
	ready(t, v)
	b.do("pause", object{"node": node.Node}, nil)
	seen := ""
	for began := time.Now(); time.Since(began) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
		found := verdict(v, ada.AccessToken)
		// Once unavailable, no token is accepted by old knowledge.
		if found != "unavailable" && (found != "valid" || seen == "unavailable") {
			t.Fatalf("%s after %s", found, seen)
		}
		seen = found
	}
	if seen != "unavailable" {
		t.Error(seen)
	}
	b.do("resume", object{"node": node.Node}, nil)
	becomes(t, v, ada.AccessToken, "valid", 4*time.Second)
	ready(t, v)
}

func TestAfterARestartRevocationsAndKeysAreKnownAgain(t *testing.T) {
	for _, signal := range []string{"TERM", "KILL"} {
		signal := signal
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			node := b.start(object{"settings": object{"TOKEN_SIGNING": "EdDSA"}})
			c := client(t, userservice.Config{}, node)
			ada, eve := register(t, b, c, "ada"), register(t, b, c, "eve")
			v := verifier(t, userservice.VerifierConfig{}, node)
			ready(t, v)
			b.do("restart", object{"node": node.Node, "signal": signal}, nil)
			logout(t, c, ada.AccessToken)
			becomes(t, v, ada.AccessToken, "revoked", 4*time.Second)
			if found := verdict(v, eve.AccessToken); found != "valid" {
				t.Error(found)
			}
			ready(t, v)
		})
	}
}

func TestAllNodesDown(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	nodes := b.cluster(object{"TOKEN_SIGNING": "EdDSA"})
	ada := register(t, b, client(t, userservice.Config{}, nodes...), "ada")
	lines := new(userservice.LogLines)
	v := loggingVerifier(t, lines, userservice.VerifierConfig{
		AgeLimit: time.Second, AskTimeout: 300 * time.Millisecond,
	}, nodes...)
	ready(t, v)
	for _, node := range nodes {
		b.do("stop", object{"node": node.Node, "signal": "KILL"}, nil)
	}
	for found, began := "valid", time.Now(); found != "unavailable"; found = verdict(v, ada.AccessToken) {
		if found != "valid" || time.Since(began) > 3*time.Second {
			t.Fatal(found)
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.do("again", object{"node": nodes[1].Node}, nil)
	becomes(t, v, ada.AccessToken, "valid", 8*time.Second)
	within(t, 3*time.Second, "the outage ends", func() bool { return len(lines.All()) == 2 })
	found := lines.All()
	if !strings.HasPrefix(found[0], "userservice: the user service is not available: ") ||
		!strings.HasPrefix(found[1], "userservice: the user service is available again, after ") ||
		strings.Contains(strings.Join(found, ""), ada.AccessToken.Reveal()) {
		t.Error(found)
	}
}

// TestAVerifierOfAnotherIssuerAsksTheService: what it expects may be wrong, so the service decides.
func TestAVerifierOfAnotherIssuerAsksTheService(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	node := b.start(object{"settings": object{"TOKEN_SIGNING": "EdDSA", "JWT_ISSUER": "the-issuer", "JWT_AUDIENCE": "the-audience"}})
	c := client(t, userservice.Config{}, node)
	ada, eve := register(t, b, c, "ada"), register(t, b, c, "eve")
	for _, one := range []struct {
		issuer, audience string
		asked            uint64
	}{{"the-issuer", "the-audience", 0}, {"other", "the-audience", 2}, {"the-issuer", "other", 2}, {"", "", 2}} {
		lines := new(userservice.LogLines)
		v := loggingVerifier(t, lines, userservice.VerifierConfig{Issuer: one.issuer, Audience: one.audience}, node)
		ready(t, v)
		for i := 0; i < 2; i++ {
			if found := verdict(v, ada.AccessToken); found != "valid" {
				t.Errorf("%+v: %s", one, found)
			}
		}
		forged := eve.AccessToken.Reveal()
		if found := verdict(v, userservice.NewSecret(forged[:len(forged)-8]+"AAAAAAAA")); found != "invalid" {
			t.Errorf("%+v: a forged token is %s", one, found)
		}
		if s := v.Status(); s.Asked != one.asked || len(lines.All()) != int(one.asked/2) {
			t.Errorf("%+v: %+v, %q", one, s, lines.All())
		}
	}
	v := verifier(t, userservice.VerifierConfig{Issuer: "other"}, node)
	logout(t, c, ada.AccessToken)
	becomes(t, v, ada.AccessToken, "revoked", 2*time.Second)
}

func TestARetiredKeyIsDropped(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	nodes := b.cluster(object{"TOKEN_SIGNING": "EdDSA"})
	ada := register(t, b, client(t, userservice.Config{}, nodes...), "ada")
	v := verifier(t, userservice.VerifierConfig{}, nodes...)
	ready(t, v)
	if found := verdict(v, ada.AccessToken); found != "valid" {
		t.Fatal(found)
	}
	var listed, retired struct {
		Stdout, Stderr string
		ExitCode       int `json:"exit_code"`
	}
	b.do("server", object{"node": nodes[0].Node, "arguments": []string{"keys", "list"}}, &listed)
	kid := ""
	for _, line := range strings.Split(listed.Stdout, "\n") {
		if strings.Contains(line, " EdDSA ") && strings.Contains(line, " signs") {
			kid = strings.Fields(line)[0]
		}
	}
	arguments := []string{"keys", "retire", kid, "--force"}
	b.do("server", object{"node": nodes[0].Node, "arguments": arguments}, &retired)
	if retired.ExitCode != 0 {
		t.Fatal(retired.Stderr)
	}
	becomes(t, v, ada.AccessToken, "invalid", 4*time.Second)
}

func TestAChangeOfTheAlgorithm(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	nodes := b.cluster(object{"TOKEN_SIGNING": "EdDSA"})
	c := client(t, userservice.Config{}, nodes...)
	ada := register(t, b, c, "ada")
	v := verifier(t, userservice.VerifierConfig{}, nodes...)
	ready(t, v)
	for _, node := range nodes {
		b.do("restart", object{"node": node.Node, "settings": object{"TOKEN_SIGNING": "ES256"}}, nil)
	}
	session, err := c.Login(context.Background(), userservice.Login{
		Login: "ada", Password: userservice.NewSecret(password),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []userservice.Secret{session.AccessToken, ada.AccessToken} {
		if found := verdict(v, token); found != "valid" {
			t.Error(found)
		}
	}
	ready(t, v)
}

func TestAVerifierNeedsALocalOrEncryptedConnection(t *testing.T) {
	c := client(t, userservice.Config{}, server{Address: "users.example:3001"})
	if _, err := userservice.NewVerifier(c, userservice.VerifierConfig{}); !errors.Is(err, userservice.ErrPlaintext) {
		t.Error(err)
	}
	_, err := c.GetUser(context.Background(), userservice.GetUser{AccessToken: userservice.NewSecret("t")})
	if !errors.Is(err, userservice.ErrPlaintext) || userservice.OutcomeOf(err) != userservice.NotDone {
		t.Error(err)
	}
	if text := fmt.Sprint(err); strings.Contains(text, "unknown") {
		t.Error(text)
	}
}
