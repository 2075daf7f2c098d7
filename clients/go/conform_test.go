package userservice_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/userservice"
)

// conform runs user-cli conform with a driver, and returns its report and whether it succeeded.
func conform(t testing.TB, driver string, arguments ...string) (report, bool) {
	t.Helper()
	command := append([]string{"conform", "--strict", "--format", "json"}, arguments...)
	output, err := exec.Command(executable(t, "USER_CLI", "user-cli"), append(command, "--", driver)...).Output()
	var r report
	if json.Unmarshal(output, &r) != nil || len(r.Cases) == 0 {
		t.Fatalf("%v: %s", err, output)
	}
	return r, err == nil
}

type report struct {
	Cases []struct {
		ID, Result  string
		Reasons     []string
		Unsupported *string
	}
}

func needsConform(t testing.TB) {
	t.Helper()
	if exec.Command(executable(t, "USER_CLI", "user-cli"), "conform", "--list").Run() != nil {
		t.Skip("left out: the behaviour cases (user-cli conform is missing)")
	}
}

func TestBehaviour(t *testing.T) {
	t.Parallel()
	needsConform(t)
	driver := filepath.Join(t.TempDir(), "driver")
	run(t, goCommand(), "build", fmt.Sprintf("-race=%t", userservice.UnderRace), "-o", driver, "./internal/driver")
	r, ok := conform(t, driver)
	failures := 0
	for _, one := range r.Cases {
		if one.Result == "passed" {
			continue
		}
		// Another process may have taken the port of a server that starts later.
		if strings.Contains(fmt.Sprint(one.Reasons), "cannot listen on") {
			if _, isPassed := conform(t, driver, "--case", one.ID); isPassed {
				continue
			}
		}
		failures++
		t.Errorf("%s: %s: %v", one.ID, one.Result, one.Reasons)
	}
	if ok != (failures == 0) && !strings.Contains(fmt.Sprint(r.Cases), "cannot listen on") || len(r.Cases) < 90 {
		t.Errorf("%d cases, %d failures", len(r.Cases), failures)
	}
	t.Logf("%d cases", len(r.Cases))
}

// TestMutants checks that the cases find the faults that no vector reveals.
func TestMutants(t *testing.T) {
	t.Parallel()
	needsConform(t)
	for _, mutant := range []struct{ name, file, old, new, fails string }{
		{
			"a request is retried after an unknown error class", "attempt.go",
			"case info.isForClient:", "case info.isForClient || failure.Code.Class() > 6:",
			"errors.unknown_class_with_a_wait",
		},
		{
			"a TLS alert is an unknown outcome", "conn_io.go",
			"rejection != nil && !served", "rejection != nil && served",
			"tls.certificate_expired",
		},
		{
			"the idle timeout in Pong is ignored", "conn_time.go",
			"c.idleTimeout > 0 &&", "c.idleTimeout < 0 &&",
			"idle.one_second",
		},
		{
			"there is no window for requests that hash", "conn.go",
			"hashes := request.hashes()", "hashes := false",
			"window.hashing",
		},
		{
			"an unreadable error with id 0 is ignored", "conn_io.go",
			`c.close(result{kind: resultLost, err: fmt.Errorf("the server sent an error that cannot be read: %w", err)})`, "",
			"connection.unreadable_error",
		},
		{
			"a single address is asked again at once after SHUTTING_DOWN", "link.go",
			"one.next = time.Now().Add(wait)", "one.next = time.Time{}",
			"shutdown.one_address",
		},
	} {
		mutant := mutant
		t.Run(mutant.name, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(mutant.file)
			if err != nil || strings.Count(string(source), mutant.old) != 1 {
				t.Fatalf("%s does not contain the text once: %v", mutant.file, err)
			}
			folder := t.TempDir()
			path := func(name string) string { return filepath.Join(folder, name) }
			here, err := filepath.Abs(mutant.file)
			if err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(object{"Replace": map[string]string{here: path("mutant.go")}})
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(source), mutant.old, mutant.new, 1)
			for name, content := range map[string]string{"mutant.go": changed, "overlay.json": string(overlay)} {
				if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run(t, goCommand(), "build", "-overlay", path("overlay.json"), "-o", path("driver"), "./internal/driver")
			// An alert that arrives before the request was written reveals nothing.
			for try := 0; try < 5; try++ {
				if _, ok := conform(t, path("driver"), "--case", mutant.fails); !ok {
					return
				}
			}
			t.Errorf("%s passes", mutant.fails)
		})
	}
}
