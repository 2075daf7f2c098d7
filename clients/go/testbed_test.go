package userservice_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/userservice"
)

// bed starts servers with clients/testbed.py.
type bed struct {
	t       testing.TB
	mu      sync.Mutex
	stdin   io.WriteCloser
	next    int
	waiting map[int]chan answer
}

type answer struct {
	ID      int
	OK      json.RawMessage
	Error   string
	Missing string
}

type object = map[string]any

// server is a node that the bed has started.
type server struct{ Node, Address, Metrics string }

func newBed(t testing.TB) *bed {
	t.Helper()
	command := exec.Command("python3", "../testbed.py")
	command.Env = os.Environ()
	for variable, name := range map[string]string{"USER_SERVER": "user-server", "USER_CLI": "user-cli"} {
		command.Env = append(command.Env, variable+"="+executable(t, variable, name))
	}
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, stdin: stdin, waiting: map[int]chan answer{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			var a answer
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				a.Error = err.Error()
			}
			b.mu.Lock()
			b.waiting[a.ID] <- a
			b.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		<-ended
		_ = command.Wait()
	})
	return b
}

// executable returns the path of an executable of the project.
func executable(t testing.TB, variable, name string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		path = "../../target/debug/" + name
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; build it, or set %s", err, variable)
	}
	return path
}

// do executes a command of the bed, and reads its result into `into`.
func (b *bed) do(op string, arguments object, into any) {
	b.t.Helper()
	done := make(chan answer, 1)
	b.mu.Lock()
	b.next++
	command := object{"id": b.next, "op": op}
	for key, value := range arguments {
		command[key] = value
	}
	b.waiting[b.next] = done
	line, err := json.Marshal(command)
	if err == nil {
		_, err = b.stdin.Write(append(line, '\n'))
	}
	b.mu.Unlock()
	if err != nil {
		b.t.Fatal(err)
	}
	var a answer
	select {
	case a = <-done:
	case <-time.After(2 * time.Minute):
		b.t.Fatalf("%s: no answer of the test bed", op)
	}
	switch {
	case a.Missing != "":
		b.t.Skipf("left out: %s (%s is missing)", b.t.Name(), a.Missing)
	case a.Error != "":
		b.t.Fatalf("%s: %s", op, a.Error)
	case into != nil:
		if err := json.Unmarshal(a.OK, into); err != nil {
			b.t.Fatal(err)
		}
	}
}

// start starts a single node.
func (b *bed) start(arguments object) server {
	b.t.Helper()
	var node server
	b.do("start", arguments, &node)
	return node
}

// cluster starts two nodes.
func (b *bed) cluster(settings object) []server {
	b.t.Helper()
	var all struct{ Nodes []server }
	b.do("cluster", object{"nodes": 2, "settings": settings}, &all)
	return all.Nodes
}

// code returns the code of the last of `count` emails to an address.
func (b *bed) code(email string, count int) userservice.Secret {
	b.t.Helper()
	var found struct{ Code string }
	b.do("code", object{"email": email, "count": count}, &found)
	return userservice.NewSecret(found.Code)
}

// client returns a client of nodes, which is closed after the test.
func client(t testing.TB, config userservice.Config, nodes ...server) *userservice.Client {
	t.Helper()
	var addresses []string
	for _, node := range nodes {
		addresses = append(addresses, node.Address)
	}
	c, err := userservice.New(config, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const password = "a very good password 7"

// register creates an account, and returns its first session.
func register(t testing.TB, b *bed, c *userservice.Client, name string) *userservice.EmailVerified {
	t.Helper()
	ctx := context.Background()
	email := name + "@example.org"
	registered, err := c.Register(ctx, userservice.Register{
		Username: name, Email: email, Password: userservice.NewSecret(password),
	})
	if err != nil {
		t.Fatal(err)
	}
	verified, err := c.VerifyEmail(ctx, userservice.VerifyEmail{
		VerificationID: registered.VerificationID, Code: b.code(email, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	return verified
}
