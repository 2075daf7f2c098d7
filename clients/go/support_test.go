package userservice_test

import (
	"os"
	"os/exec"
	"testing"
)

// run runs a command, which must succeed, and returns its output.
func run(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
	return string(output)
}

// goCommand returns the command of Go that runs the tests.
func goCommand() string {
	if command := os.Getenv("GO"); command != "" {
		return command
	}
	return "go"
}
