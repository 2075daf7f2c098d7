package userservice_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/userservice"
)

// TestReadme builds a program of the blocks of README.md, as the README says, and calls it.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	commands := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(text)
	if len(blocks) < 5 || commands == nil {
		t.Fatal("blocks are missing")
	}
	b := newBed(t)
	node := b.start(object{"settings": object{"TOKEN_SIGNING": "EdDSA"}})
	session := register(t, b, client(t, userservice.Config{}, node), "ada")
	var web struct{ Port int }
	b.do("free_port", nil, &web)
	address := "127.0.0.1:" + strconv.Itoa(web.Port)

	program := "package main\n\nimport (\n\"context\"\n\"errors\"\n\"fmt\"\n\"log\"\n\"net/http\"\n\n\"example.com/userservice\"\n)\n\n" +
		"func main() {\n" + blocks[0][1] + "}\n"
	for _, block := range blocks[1:] {
		program += block[1]
	}
	program = strings.ReplaceAll(program, "127.0.0.1:3001", node.Address)
	program = strings.ReplaceAll(program, "127.0.0.1:8080", address)
	folder := t.TempDir()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.go": program, "go.mod": "module app\n\ngo 1.19\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(here, filepath.Join(folder, "userservice")); err != nil {
		t.Fatal(err)
	}
	edit := strings.Fields(string(commands[1]))[1:]
	for _, arguments := range [][]string{edit, {"vet", "."}, {"build", "-o", "app", "."}} {
		command := exec.Command(goCommand(), arguments...)
		command.Dir = folder
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", arguments, err, output)
		}
	}
	app := exec.Command(filepath.Join(folder, "app"))
	app.Stderr = os.Stderr
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = app.Process.Kill()
		_ = app.Wait()
	})
	status := func(token string) int {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	token := session.AccessToken.Reveal()
	within(t, 8*time.Second, "the program answers", func() bool { return status("") != 0 })
	if found := []int{status(""), status("wrong"), status(token)}; found[0] != 401 || found[1] != 401 || found[2] != 200 {
		t.Error(found)
	}
	logout(t, client(t, userservice.Config{}, node), session.AccessToken)
	within(t, 2*time.Second, "the logout takes effect", func() bool { return status(token) == 401 })
}
