// Command driver lets user-cli conform test the behaviour of the client.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"example.com/userservice"
	"example.com/userservice/internal/notation"
)

type request struct {
	ID             int
	Op             string
	Addresses      []string
	TLS            *tlsFiles
	AllowPlaintext bool `json:"allow_plaintext"`
	Verifier       *verifierOptions
	Message, Token string
	Fields         map[string]any
	Key            *string
	DeadlineMS     *int `json:"deadline_ms"`
}

type tlsFiles struct {
	CA, Cert, Key string
	ServerName    string `json:"server_name"`
}

type verifierOptions struct {
	Issuer, Audience string
	AgeLimitMS       int `json:"age_limit_ms"`
}

type driver struct {
	client   *userservice.Client
	verifier *userservice.Verifier
}

func main() {
	var d driver
	var lock sync.Mutex
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	answer := func(r request) {
		key, value := d.answer(r)
		lock.Lock()
		defer lock.Unlock()
		if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"id": r.ID, key: value}); err != nil {
			fmt.Fprintln(os.Stderr, "driver:", err)
		}
	}
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, "driver:", err)
			os.Exit(1)
		}
		if r.Op == "connect" {
			answer(r)
		} else {
			go answer(r)
		}
	}
}

func (d *driver) answer(r request) (key string, value any) {
	var err error
	switch r.Op {
	case "connect":
		value, err = d.connect(r)
	case "call":
		return d.call(r)
	case "verify":
		value, err = d.verify(r)
	case "close":
		if d.verifier != nil {
			d.verifier.Close()
		}
		value, err = map[string]any{}, d.client.Close()
	default:
		return "unsupported", r.Op
	}
	if err != nil {
		return "failed", err.Error()
	}
	return "ok", value
}

func (d *driver) connect(r request) (any, error) {
	config := userservice.Config{AllowPlaintext: r.AllowPlaintext}
	var err error
	if r.TLS != nil {
		config.TLS, err = userservice.LoadTLS(userservice.TLSFiles{
			CA: r.TLS.CA, Certificate: r.TLS.Cert, Key: r.TLS.Key, ServerName: r.TLS.ServerName,
		})
		if err != nil {
			return nil, err
		}
	}
	if d.client, err = userservice.New(config, r.Addresses...); err != nil {
		return nil, err
	}
	if v := r.Verifier; v != nil {
		d.verifier, err = userservice.NewVerifier(d.client, userservice.VerifierConfig{
			Issuer:   v.Issuer,
			Audience: v.Audience,
			AgeLimit: time.Duration(v.AgeLimitMS) * time.Millisecond,
		})
	}
	return map[string]any{}, err
}

func (d *driver) call(r request) (string, any) {
	method := reflect.ValueOf(d.client).MethodByName(r.Message)
	if !method.IsValid() {
		return "unsupported", "there is no method " + r.Message
	}
	ctx := context.Background()
	if r.DeadlineMS != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*r.DeadlineMS)*time.Millisecond)
		defer cancel()
	}
	arguments := []reflect.Value{reflect.ValueOf(ctx)}
	// Requests without fields have no argument.
	if method.Type().NumIn() == 3 {
		message := reflect.New(method.Type().In(1)).Elem()
		if err := notation.FromJSON(r.Fields, message); err != nil {
			return "failed", err.Error()
		}
		arguments = append(arguments, message)
	}
	switch {
	case r.Key == nil:
		arguments = append(arguments, reflect.ValueOf(userservice.WithoutIdempotencyKey()))
	case *r.Key != "auto":
		key, err := userservice.ParseIdempotencyKey(*r.Key)
		if err != nil {
			return "failed", err.Error()
		}
		arguments = append(arguments, reflect.ValueOf(userservice.WithIdempotencyKey(key)))
	}
	results := method.Call(arguments)
	if err, ok := results[1].Interface().(error); ok {
		return "error", describe(err)
	}
	reply := results[0].Interface()
	return "ok", map[string]any{
		"message": reflect.TypeOf(reply).Elem().Name(),
		"fields":  notation.ToJSON(reply),
	}
}

func describe(err error) map[string]any {
	described := map[string]any{
		"code": nil, "retry_after_ms": nil,
		"outcome": userservice.OutcomeOf(err).String(), "text": err.Error(),
	}
	var server *userservice.ServerError
	if errors.As(err, &server) {
		described["code"] = fmt.Sprintf("%04X", uint16(server.Code))
		if server.RetryAfter != nil {
			described["retry_after_ms"] = server.RetryAfter.Milliseconds()
		}
	}
	return described
}

func (d *driver) verify(r request) (any, error) {
	_, err := d.verifier.Verify(context.Background(), userservice.NewSecret(r.Token))
	verdict := "valid"
	for reason, name := range map[error]string{
		userservice.ErrTokenInvalid: "invalid", userservice.ErrTokenExpired: "expired",
		userservice.ErrTokenRevoked: "revoked", userservice.ErrUnavailable: "unavailable",
	} {
		if errors.Is(err, reason) {
			verdict = name
		}
	}
	if err != nil && verdict == "valid" {
		return nil, err
	}
	return map[string]any{"verdict": verdict}, nil
}
