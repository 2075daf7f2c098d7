package userservice

import (
	"context"
	"net/http"
	"strings"
)

// A TokenVerifier checks access tokens: a Verifier in memory, or RemoteVerifier with a call each.
type TokenVerifier interface {
	Verify(ctx context.Context, token Secret, options ...CallOption) (Verified, error)
}

// RemoteVerifier returns a verifier that asks the service about each token. It waits for an answer
// for 3 s at most, and asks about 128 tokens at the same time, like a Verifier with the default
// AskTimeout, MaxAsking and MaxWaiting. It panics if client is nil.
func RemoteVerifier(client *Client) TokenVerifier {
	if client == nil || client.remote == nil {
		panic("userservice: RemoteVerifier(nil): expected a client that New has returned")
	}
	return remoteVerifier{client.remote}
}

type remoteVerifier struct{ asker *asker }

func (v remoteVerifier) Verify(ctx context.Context, token Secret, options ...CallOption) (Verified, error) {
	if parseToken(token.raw()) == nil {
		// Nothing that the service could accept.
		return Verified{}, &VerifyError{Reason: ErrTokenInvalid}
	}
	reply, err := v.asker.ask(ctx, token, options)
	if err != nil {
		return Verified{}, err
	}
	return verifiedBy(reply), nil
}

func verifiedBy(reply *TokenVerified) Verified {
	verified := Verified{
		UserID:    reply.UserID,
		SessionID: reply.SessionID,
		IssuedAt:  reply.IssuedAt,
		ExpiresAt: reply.ExpiresAt,
	}
	if reply.Stale != nil {
		verified.Stale = *reply.Stale
	}
	return verified
}

// verifyErrorOf returns what an error of VerifyToken means. Only an error that says something about
// the token is one about the token.
func verifyErrorOf(err error) *VerifyError {
	reason := ErrUnavailable
	if call, ok := err.(*CallError); ok && isMistake(call) {
		return &VerifyError{call.Reason, call.Cause}
	}
	if server, ok := err.(*ServerError); ok && server.outcome == Refused && server.Code.Class() == 3 {
		switch server.Code {
		case CodeTokenExpired:
			reason = ErrTokenExpired
		case CodeSessionRevoked:
			reason = ErrTokenRevoked
		case CodeNotPermitted:
		default:
			reason = ErrTokenInvalid
		}
	}
	return &VerifyError{reason, err}
}

type verifiedKey struct{}

// FromContext returns the content of the token that Middleware has accepted.
func FromContext(ctx context.Context) (Verified, bool) {
	verified, ok := ctx.Value(verifiedKey{}).(Verified)
	return verified, ok
}

// Middleware returns a function that protects a handler: a request without a valid access token is
// answered with 401, and with 503 if the token could not be checked. The handler gets the content
// of the token with FromContext. Its calls of the service send the traceparent of the request.
//
// It panics if the verifier or the handler is nil.
func Middleware(verifier TokenVerifier) func(http.Handler) http.Handler {
	if memory, ok := verifier.(*Verifier); verifier == nil || ok && memory.isMissing() {
		panic("userservice: Middleware(nil): expected a verifier that NewVerifier or RemoteVerifier has returned")
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("userservice: Middleware: expected a handler, not nil")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			if trace := r.Header.Values("Traceparent"); len(trace) == 1 && validTraceparent(trace[0]) {
				ctx = ContextWithTraceparent(ctx, trace[0])
			}
			token, ok := Bearer(r)
			if !ok {
				answer := HTTPError{Status: http.StatusUnauthorized, Header: http.Header{}, Name: "missing_token"}
				answer.Header.Set("WWW-Authenticate", "Bearer")
				answer.Write(w)
				return
			}
			verified, err := verifier.Verify(ctx, token)
			if err != nil {
				ToHTTP(err).Write(w)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, verifiedKey{}, verified)))
		})
	}
}

// Bearer returns the token of the Authorization header. It returns false if there is none, or more
// than one header.
func Bearer(r *http.Request) (Secret, bool) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return Secret{}, false
	}
	scheme, token, found := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " ,\t") {
		return Secret{}, false
	}
	return NewSecret(token), true
}

// validTraceparent tells whether a traceparent of the version 00 is well-formed.
func validTraceparent(text string) bool {
	if len(text) != 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] != "00" {
		return false
	}
	return strings.Trim(text, "0123456789abcdef-") == ""
}
