package userservice

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An HTTPError is the answer of a gateway to its own client: status, headers and a JSON body.
type HTTPError struct {
	Status int         `json:"-"`
	Header http.Header `json:"-"`
	// Name is the name of the error in lower case, such as invalid_credentials.
	Name string `json:"error"`
	// Field is the field that the error is about, if there is one.
	Field string `json:"field,omitempty"`
}

// ToHTTP returns the answer to a request that ended with this error. A lost connection and an error
// of the service never become a 401: the token of the end user may be valid. A mistake of the
// program, such as ErrInvalidRequest, becomes a 500.
func ToHTTP(err error) HTTPError {
	var server *ServerError
	var call *CallError
	var verify *VerifyError
	switch {
	case isMistake(err):
		// Another attempt would fail in the same way.
	case errors.As(err, &verify):
		return verifyToHTTP(verify)
	case errors.As(err, &server) && !(server.outcome == Unknown && server.Code.Class() == 1):
		return serverToHTTP(server)
	case errors.As(err, &server), errors.As(err, &call):
		answer := HTTPError{Status: http.StatusServiceUnavailable, Header: http.Header{}, Name: "unavailable"}
		if OutcomeOf(err) == Unknown {
			answer.Status, answer.Name = http.StatusGatewayTimeout, "outcome_unknown"
		}
		return answer
	}
	return HTTPError{Status: http.StatusInternalServerError, Header: http.Header{}, Name: "internal"}
}

func serverToHTTP(err *ServerError) HTTPError {
	answer := HTTPError{
		Status: err.Code.info().http,
		Header: http.Header{},
		Name:   strings.ToLower(strings.ReplaceAll(err.Code.String(), " ", "_")),
		Field:  err.Field,
	}
	switch {
	case err.Code.Class() == 5:
		seconds := (err.Wait() + time.Second - 1) / time.Second
		if seconds < 1 {
			seconds = 1
		}
		answer.Header.Set("Retry-After", strconv.Itoa(int(seconds)))
	case err.Code == CodeUnavailable || err.Code == CodeShuttingDown:
		answer.Header.Set("Retry-After", "1")
	case answer.Status == http.StatusUnauthorized:
		answer.Header.Set("WWW-Authenticate", "Bearer")
	}
	return answer
}

func verifyToHTTP(err *VerifyError) HTTPError {
	answer := HTTPError{Status: http.StatusUnauthorized, Header: http.Header{}}
	answer.Header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	switch err.Reason {
	case ErrTokenInvalid:
		answer.Name = "invalid_token"
	case ErrTokenExpired:
		answer.Name = "token_expired"
	case ErrTokenRevoked:
		answer.Name = "session_revoked"
	default:
		answer.Status, answer.Name = http.StatusServiceUnavailable, "unavailable"
		answer.Header = http.Header{"Retry-After": {"1"}}
	}
	return answer
}

// Write writes the answer.
func (e HTTPError) Write(w http.ResponseWriter) {
	for name, values := range e.Header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status)
	// The client may be gone.
	_ = json.NewEncoder(w).Encode(e)
}
