package userservice

import (
	"crypto/tls"
	"log"
	"time"
)

// A Config is the configuration of a Client. The zero value of a field stands for its default.
type Config struct {
	// Deadline of calls with a context that has none; 10 s by default. No call takes over 30 s.
	Deadline time.Duration
	// ConnectTimeout limits one attempt to connect, with the TLS handshake; 5 s by default.
	ConnectTimeout time.Duration
	// FailFast lets a call fail if no server is reachable. By default, it waits for one until its
	// deadline, which suits a gateway better.
	FailFast bool
	// InitialBackoff is the wait after the first failed attempt to connect; 100 ms by default. It
	// doubles with each further failure, up to MaxBackoff, and is reduced at random by up to half.
	InitialBackoff time.Duration
	// MaxBackoff is the longest wait between two attempts to connect; 5 s by default.
	MaxBackoff time.Duration
	// PingAfter is the time without a sent frame after which the client sends a ping; 60 s by
	// default. Half of the server's idle timeout applies if that is shorter.
	PingAfter time.Duration
	// PingPendingAfter is the time without a received frame after which the client sends a ping
	// while it waits for a reply; 2 s by default.
	PingPendingAfter time.Duration
	// PongTimeout is the time limit of a ping, after which the connection is lost; 10 s by default.
	PongTimeout time.Duration
	// SlowAfter is the time after which a request that may be repeated is also sent to another
	// node, and the first one is avoided until it answers a ping in time; 100 ms by default.
	SlowAfter time.Duration
	// MaxCalls limits the calls in progress, with those that wait; 65,536 by default.
	MaxCalls int
	// TLS encrypts the connections; nil for none. LoadTLS makes one. The client adds TLS 1.3 as
	// the minimum and the ALPN protocol user/1.
	TLS *tls.Config
	// AllowPlaintext permits to send secrets without TLS to addresses that are not loopback.
	AllowPlaintext bool
	// Logger gets one line when the service stops answering a verifier, and one when it answers
	// again; log.Default() by default. No line contains a secret. Use log.New(io.Discard, "", 0) for
	// no lines, and slog.NewLogLogger to have them in a log of log/slog.
	Logger *log.Logger
}

// maxDuration is the longest duration of a configuration, so that no sum of them overflows.
const maxDuration = 24 * time.Hour

func (c Config) withDefaults() Config {
	for _, one := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&c.Deadline, defaultDeadline},
		{&c.ConnectTimeout, 5 * time.Second},
		{&c.InitialBackoff, 100 * time.Millisecond},
		{&c.MaxBackoff, 5 * time.Second},
		{&c.PingAfter, defaultPingAfter},
		{&c.PingPendingAfter, 2 * time.Second},
		{&c.PongTimeout, 10 * time.Second},
		{&c.SlowAfter, 100 * time.Millisecond},
	} {
		if *one.value <= 0 {
			*one.value = one.usual
		}
		if *one.value > maxDuration {
			*one.value = maxDuration
		}
	}
	if c.MaxCalls <= 0 {
		c.MaxCalls = 65_536
	}
	if c.Logger == nil {
		c.Logger = log.Default()
	}
	return c
}
