package userservice

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// alpn is the protocol that both sides must select.
const alpn = "user/1"

// TLSFiles names the files of a TLS configuration, in PEM.
type TLSFiles struct {
	// CA are the certificates of the authorities that may issue the server's certificate. The
	// default are those of the system.
	CA string
	// Certificate and Key are those of the client, if it has any. They are read again for every
	// connection, so that they can be renewed.
	Certificate, Key string
	// ServerName is the name in the server's certificate. The default is the host of the address.
	ServerName string
}

// LoadTLS reads a configuration for Config.TLS.
func LoadTLS(files TLSFiles) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: files.ServerName}
	if files.CA != "" {
		pem, err := os.ReadFile(files.CA)
		if err != nil {
			return nil, fmt.Errorf("userservice: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("userservice: %s contains no certificate", files.CA)
		}
	}
	switch {
	case files.Certificate == "" && files.Key == "":
		return config, nil
	case files.Key == "":
		return nil, fmt.Errorf("userservice: TLSFiles.Certificate is %q and TLSFiles.Key is empty: expected both files, or none", files.Certificate)
	case files.Certificate == "":
		return nil, fmt.Errorf("userservice: TLSFiles.Key is %q and TLSFiles.Certificate is empty: expected both files, or none", files.Key)
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
		if err != nil {
			return nil, fmt.Errorf("userservice: cannot use %s with %s: %w", files.Certificate, files.Key, err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return load()
	}
	return config, nil
}

// prepareTLS returns a copy of a configuration with what the protocol requires.
func prepareTLS(config *tls.Config) (*tls.Config, error) {
	if config == nil {
		return nil, nil
	}
	if config.InsecureSkipVerify && config.VerifyConnection == nil && config.VerifyPeerCertificate == nil {
		return nil, errors.New("userservice: a TLS configuration must verify the server's certificate")
	}
	if config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS13 {
		return nil, errors.New("userservice: Config.TLS.MaxVersion is too low: expected TLS 1.3")
	}
	config = config.Clone()
	config.MinVersion = tls.VersionTLS13
	config.NextProtos = []string{alpn}
	// One record for one write, so that a request is known to be sent or not.
	config.DynamicRecordSizingDisabled = true
	return config, nil
}

// dial establishes a connection, with the TLS handshake.
func dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	var dialer net.Dialer
	sock, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, callError(ErrConnect, err, NotDone)
	}
	if config == nil {
		return sock, nil
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = hostOf(address)
	}
	secure := tls.Client(sock, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = sock.Close()
		return nil, callError(ErrTLS, fmt.Errorf("%s: %w", address, err), NotDone)
	}
	if selected := secure.ConnectionState().NegotiatedProtocol; selected != alpn {
		_ = sock.Close()
		return nil, callError(ErrTLS, fmt.Errorf("%s: the server selected the protocol %q instead of %q", address, selected, alpn), NotDone)
	}
	return secure, nil
}

// rejectedCertificate returns an error if err is an alert about the client's certificate.
func rejectedCertificate(err error) error {
	var operation *net.OpError
	if !errors.As(err, &operation) || operation.Op != "remote error" {
		return nil
	}
	text := operation.Err.Error()
	for _, part := range []string{"certificate", "access denied", "handshake failure", "error decrypting message"} {
		if strings.Contains(text, part) {
			return callError(ErrTLS, fmt.Errorf("the server rejected the client's certificate: %w", operation.Err), NotDone)
		}
	}
	return nil
}

const expectedAddress = `HOST:PORT with a port from 1 to 65535, such as "127.0.0.1:3001" or "[::1]:3001"`

// isAddress tells whether a text is an address of a node.
func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || strings.ContainsAny(host, " \t\r\n/@") {
		return false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}

// hostOf returns the host of an address, without its port.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// isLoopback tells whether an address is one of the loopback interface, or the name localhost. Any
// other name counts as remote, since only its resolver decides on its address.
func isLoopback(address string) bool {
	host := hostOf(address)
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}
