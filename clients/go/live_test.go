package userservice_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/userservice"
)

func TestLiveServer(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	node := b.start(nil)
	c := client(t, userservice.Config{}, node)
	ctx := userservice.ContextWithTraceparent(context.Background(),
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pong, err := c.Ping(ctx)
	must(err)
	if pong.MaxInFlight == nil || *pong.MaxInFlight == 0 {
		t.Error("no limit in", pong)
	}
	session := register(t, b, c, "ada")
	logged, err := c.Login(ctx, userservice.Login{
		Login: "ada", Password: userservice.NewSecret(password), Device: userservice.Some("a test"),
	}, userservice.WithClientAddress("203.0.113.7"))
	must(err)
	if logged.UserID != session.UserID || logged.AccessExpiresIn != 15*time.Minute {
		t.Error(logged)
	}
	user, err := c.GetUser(ctx, userservice.GetUser{AccessToken: logged.AccessToken})
	must(err)
	if user.Username != "ada" || user.Email != "ada@example.org" || time.Since(user.CreatedAt) > time.Minute {
		t.Error(user)
	}
	verified, err := c.VerifyToken(ctx, userservice.VerifyToken{AccessToken: logged.AccessToken})
	must(err)
	if verified.SessionID != logged.SessionID {
		t.Error(verified)
	}
	refreshed, err := c.RefreshToken(ctx, userservice.RefreshToken{RefreshToken: logged.RefreshToken})
	must(err)
	sessions, err := c.ListSessions(ctx, userservice.ListSessions{AccessToken: refreshed.AccessToken})
	must(err)
	if len(sessions.Sessions) != 2 || !sessions.Sessions[0].Current || *sessions.Sessions[0].Device != "a test" {
		t.Error(sessions)
	}
	ended, err := c.EndSession(ctx, userservice.EndSession{
		AccessToken: refreshed.AccessToken, SessionID: session.SessionID,
	})
	must(err)
	if ended.SessionsEnded != 1 {
		t.Error(ended)
	}
	updated, err := c.UpdateUser(ctx, userservice.UpdateUser{
		AccessToken: refreshed.AccessToken, Username: userservice.Some("ada.lovelace"),
		Email: userservice.Some("lovelace@example.org"), CurrentPassword: userservice.SecretOf(password),
	})
	must(err)
	confirmed, err := c.ConfirmEmail(ctx, userservice.ConfirmEmail{
		AccessToken: refreshed.AccessToken, VerificationID: *updated.VerificationID,
		Code: b.code("lovelace@example.org", 1),
	})
	must(err)
	if confirmed.Email != "lovelace@example.org" || confirmed.Username != "ada.lovelace" {
		t.Error(confirmed)
	}
	keys, err := c.GetKeys(ctx)
	must(err)
	if keys.JWKS == "" || keys.AccessLife != 15*time.Minute {
		t.Error(keys)
	}
	reset, err := c.RequestPasswordReset(ctx, userservice.RequestPasswordReset{Email: "lovelace@example.org"})
	must(err)
	_, err = c.ResendCode(ctx, userservice.ResendCode{VerificationID: reset.VerificationID})
	expect(t, err, userservice.CodeRateLimited, userservice.NotDone)
	_, err = c.ResetPassword(ctx, userservice.ResetPassword{
		VerificationID: reset.VerificationID, Code: userservice.NewSecret("AAAAAAAAAA"),
		NewPassword: userservice.NewSecret(password),
	})
	expect(t, err, userservice.CodeInvalidCode, userservice.Refused)
	_, err = c.Login(ctx, userservice.Login{Login: "ada.lovelace", Password: userservice.NewSecret("wrong")})
	expect(t, err, userservice.CodeInvalidCredentials, userservice.Refused)
	if answer := userservice.ToHTTP(err); answer.Status != 401 || answer.Name != "invalid_credentials" {
		t.Error(answer)
	}
	_, err = c.DeleteUser(ctx, userservice.DeleteUser{
		AccessToken: refreshed.AccessToken, CurrentPassword: userservice.NewSecret(password),
	})
	must(err)
	_, err = c.Logout(ctx, userservice.Logout{Token: refreshed.AccessToken, AllSessions: true})
	expect(t, err, userservice.CodeSessionRevoked, userservice.Refused)
	must(c.Close())
	_, err = c.Ping(ctx)
	if !errors.Is(err, userservice.ErrClosed) || userservice.OutcomeOf(err) != userservice.NotDone {
		t.Error(err)
	}
}

// expect checks the code and the outcome of an error.
func expect(t testing.TB, err error, code userservice.ErrorCode, outcome userservice.Outcome) {
	t.Helper()
	var server *userservice.ServerError
	if !errors.As(err, &server) || server.Code != code || server.Outcome() != outcome {
		t.Fatalf("got %v, expected %s", err, code)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	c := client(t, userservice.Config{}, b.start(nil))
	register(t, b, c, "grace")
	key, err := userservice.NewIdempotencyKey()
	if err != nil {
		t.Fatal(err)
	}
	login := func(options ...userservice.CallOption) userservice.UUID {
		logged, err := c.Login(context.Background(), userservice.Login{
			Login: "grace", Password: userservice.NewSecret(password),
		}, options...)
		if err != nil {
			t.Fatal(err)
		}
		return logged.SessionID
	}
	if login(userservice.WithIdempotencyKey(key)) != login(userservice.WithIdempotencyKey(key)) {
		t.Error("a repeated login opened another session")
	}
	if login() == login() {
		t.Error("two logins had the same key")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var files struct {
		Folder, CA  string
		Certificate string `json:"client_certificate"`
		Key         string `json:"client_key"`
	}
	b.do("tls", nil, &files)
	node := b.start(object{"tls": files.Folder, "client_certificates": true})
	for _, one := range []struct {
		files    userservice.TLSFiles
		expected error
	}{
		{userservice.TLSFiles{CA: files.CA, Certificate: files.Certificate, Key: files.Key}, nil},
		{userservice.TLSFiles{CA: files.CA}, userservice.ErrTLS},
		{userservice.TLSFiles{Certificate: files.Certificate, Key: files.Key}, userservice.ErrTLS},
		{userservice.TLSFiles{CA: files.CA, Certificate: files.Certificate, Key: files.Key, ServerName: "other.example"}, userservice.ErrTLS},
	} {
		config, err := userservice.LoadTLS(one.files)
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, userservice.Config{TLS: config, FailFast: true}, node)
		_, err = c.Login(context.Background(), userservice.Login{Login: "ada", Password: userservice.NewSecret("wrong")})
		if one.expected == nil {
			expect(t, err, userservice.CodeInvalidCredentials, userservice.Refused)
		} else if !errors.Is(err, one.expected) || userservice.OutcomeOf(err) != userservice.NotDone {
			t.Errorf("%+v: %v", one.files, err)
		}
	}
	// Without TLS, on a port with TLS.
	plain := client(t, userservice.Config{}, node)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := plain.Login(ctx, userservice.Login{Login: "ada"}); err == nil {
		t.Error("a login without TLS")
	}
}
