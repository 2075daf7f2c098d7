package userservice

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestToHTTP(t *testing.T) {
	var all struct {
		Errors []struct {
			Code       string
			Name       string
			HTTPStatus int `json:"http_status"`
		}
	}
	text, err := os.ReadFile("../../user-proto/vectors/protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	server := func(code ErrorCode, wait *time.Duration) error {
		return newServerError(&errorReply{Code: code, RetryAfter: wait})
	}
	for _, one := range all.Errors {
		code, err := strconv.ParseUint(one.Code, 16, 16)
		if err != nil {
			t.Fatal(err)
		}
		if answer := ToHTTP(server(ErrorCode(code), nil)); answer.Status != one.HTTPStatus {
			t.Errorf("%s: %d", one.Name, answer.Status)
		}
	}
	for _, one := range []struct {
		err        error
		status     int
		retryAfter string
	}{
		{server(0x01FE, nil), 500, ""},
		{server(0x02FE, nil), 400, ""},
		{server(0x03FE, nil), 401, ""},
		{server(0x04FE, nil), 409, ""},
		{server(0x05FE, nil), 429, "1"},
		{server(0x06FE, nil), 500, ""},
		{server(0x7F01, nil), 500, ""},
		{server(CodeRateLimited, Some(4001*time.Millisecond)), 429, "5"},
		{server(CodeBusy, Some(time.Duration(0))), 503, "1"},
		{server(CodeUnavailable, nil), 503, "1"},
		{server(CodeShuttingDown, nil), 503, "1"},
		{withOutcome(server(CodeMalformed, nil), Unknown), 504, ""},
		{callError(ErrConnect, nil, NotDone), 503, ""},
		{callError(ErrConnectionLost, nil, Unknown), 504, ""},
		{callError(ErrDeadline, context.DeadlineExceeded, Unknown), 504, ""},
		{callError(ErrDeadline, context.DeadlineExceeded, NotDone), 503, ""},
		{&VerifyError{Reason: ErrTokenInvalid}, 401, ""},
		{&VerifyError{Reason: ErrTokenExpired}, 401, ""},
		{&VerifyError{Reason: ErrTokenRevoked}, 401, ""},
		{verifyErrorOf(server(CodeUnavailable, nil)), 503, "1"},
		{verifyErrorOf(server(CodeNotPermitted, nil)), 503, "1"},
		{verifyErrorOf(callError(ErrConnectionLost, nil, Unknown)), 503, "1"},
		{errors.New("other"), 500, ""},
		{callError(ErrInvalidRequest, nil, NotDone), 500, ""},
		{callError(ErrPlaintext, nil, NotDone), 500, ""},
		{callError(ErrTooManyCalls, nil, NotDone), 503, ""},
		{callError(ErrClosed, nil, NotDone), 503, ""},
		{verifyErrorOf(callError(ErrInvalidRequest, nil, NotDone)), 500, ""},
		{verifyErrorOf(callError(ErrPlaintext, nil, NotDone)), 500, ""},
		{verifyErrorOf(callError(ErrClosed, nil, NotDone)), 503, "1"},
	} {
		answer := ToHTTP(one.err)
		if answer.Status != one.status || answer.Header.Get("Retry-After") != one.retryAfter {
			t.Errorf("%v: %+v", one.err, answer)
		}
	}
}

// fakeVerifier accepts the token "good".
type fakeVerifier struct{ trace string }

func (v *fakeVerifier) Verify(ctx context.Context, token Secret, _ ...CallOption) (Verified, error) {
	v.trace, _ = ctx.Value(traceKey{}).(string)
	switch token.Reveal() {
	case "good":
		return Verified{UserID: UUID{1}}, nil
	case "down":
		return Verified{}, &VerifyError{Reason: ErrUnavailable}
	}
	return Verified{}, &VerifyError{Reason: ErrTokenExpired}
}

func TestMiddleware(t *testing.T) {
	verifier := &fakeVerifier{}
	handler := Middleware(verifier)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verified, ok := FromContext(r.Context())
		if !ok || verified.UserID != (UUID{1}) {
			t.Error(verified)
		}
	}))
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, one := range []struct {
		headers []string
		status  int
		name    string
	}{
		{[]string{"Bearer good"}, 200, ""},
		{[]string{"bearer  good"}, 200, ""},
		{nil, 401, "missing_token"},
		{[]string{"Bearer good", "Bearer good"}, 401, "missing_token"},
		{[]string{"Basic good"}, 401, "missing_token"},
		{[]string{"Bearer"}, 401, "missing_token"},
		{[]string{"Bearer "}, 401, "missing_token"},
		{[]string{"Bearer good, Bearer good"}, 401, "missing_token"},
		{[]string{"Bearer old"}, 401, "token_expired"},
		{[]string{"Bearer down"}, 503, "unavailable"},
	} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header["Authorization"] = one.headers
		request.Header.Set("Traceparent", trace)
		recorded := httptest.NewRecorder()
		handler.ServeHTTP(recorded, request)
		var body struct{ Error string }
		if one.status != 200 {
			if err := json.Unmarshal(recorded.Body.Bytes(), &body); err != nil {
				t.Error(err)
			}
		}
		challenge := recorded.Header().Get("WWW-Authenticate")
		if recorded.Code != one.status || body.Error != one.name || (challenge != "") != (one.status == 401) {
			t.Errorf("%q: %d %q %q", one.headers, recorded.Code, body.Error, challenge)
		}
	}
	if verifier.trace != trace {
		t.Error(verifier.trace)
	}
	if _, ok := FromContext(context.Background()); ok {
		t.Error("a token in an empty context")
	}
}
