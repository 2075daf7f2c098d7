package userservice_test

import (
	"context"
	"encoding/json"
	"io"
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

	program := "package main\n\nimport (\n\"encoding/json\"\n\"errors\"\n\"fmt\"\n\"log\"\n\"net/http\"\n\n\"example.com/userservice\"\n)\n\n" +
		"func main() {\n" + blocks[0][1] + "}\n"
	for _, block := range blocks[1:] {
		program += block[1]
	}
	const route = "http.Handle(\"/login\", login(client))"
	if !strings.Contains(string(text), "`"+route+"`") {
		t.Errorf("the README lacks %s", route)
	}
	program = strings.Replace(program, "log.Fatal(http.ListenAndServe", route+"\nlog.Fatal(http.ListenAndServe", 1)
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
	lines := new(userservice.LogLines)
	app.Stderr = lines
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = app.Process.Kill()
		_ = app.Wait()
	})
	get := func(token string) (*http.Response, []byte) {
		return answerOf(t, http.MethodGet, "http://"+address+"/me", token, "")
	}
	status := func(token string) int {
		response, _ := get(token)
		return response.StatusCode
	}
	login := func(body string) (int, map[string]any) {
		response, text := answerOf(t, http.MethodPost, "http://"+address+"/login", "", body)
		answer := map[string]any{}
		_ = json.Unmarshal(text, &answer)
		return response.StatusCode, answer
	}
	token := session.AccessToken.Reveal()
	within(t, 8*time.Second, "the program answers", func() bool { return status("") != 0 })
	if found := []int{status(""), status("wrong"), status(token)}; found[0] != 401 || found[1] != 401 || found[2] != 200 {
		t.Error(found)
	}
	if status, answer := login("password"); status != 400 {
		t.Error(status, answer)
	}
	if status, answer := login(`{"name":"ada","password":"wrong"}`); status != 401 || answer["error"] != "invalid_credentials" {
		t.Error(status, answer)
	}
	code, answer := login(`{"name":"ada","password":"` + password + `"}`)
	second, _ := answer["access_token"].(string)
	if code != 200 || status(second) != 200 || answer["expires_in"] != 900.0 || len(answer["refresh_token"].(string)) < 20 {
		t.Error(code, answer)
	}
	logout(t, client(t, userservice.Config{}, node), session.AccessToken)
	within(t, 2*time.Second, "the logout takes effect", func() bool { return status(token) == 401 })

	// What the README says about an outage.
	b.do("stop", object{"node": node.Node, "signal": "KILL"}, nil)
	began, loggedAfter := time.Now(), time.Duration(0)
	for status(second) == 200 {
		if loggedAfter == 0 && len(lines.All()) > 0 {
			loggedAfter = time.Since(began)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if loggedAfter < time.Second || loggedAfter > 4*time.Second {
		t.Errorf("logged after %v instead of 2 s", loggedAfter)
	}
	if took := time.Since(began); took < 7*time.Second || took > 11*time.Second {
		t.Errorf("unavailable after %v instead of 5 s and 3 s", took)
	}
	began = time.Now()
	response, _ := get(second)
	if took := time.Since(began); response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || took < 2*time.Second || took > 5*time.Second {
		t.Errorf("%d after %v", response.StatusCode, took)
	}
	if found := []int{status(""), status("wrong")}; found[0] != 401 || found[1] != 401 {
		t.Error(found)
	}
	if found := lines.All(); len(found) != 1 || !strings.Contains(found[0], shownLine(t, text, "not available: no reply within the deadline: ")) {
		t.Errorf("logged %q", found)
	}
	b.do("again", object{"node": node.Node}, nil)
	began = time.Now()
	within(t, 8*time.Second, "the outage ends", func() bool { return len(lines.All()) == 2 })
	if found := lines.All(); !strings.Contains(found[1], shownLine(t, text, "available again, after ")) {
		t.Errorf("logged %q", found)
	}
	if code := status(second); code != 200 || time.Since(began) > 6*time.Second {
		t.Errorf("%d after %v", code, time.Since(began))
	}
	for _, secret := range []string{token, second, password, "wrong"} {
		if strings.Contains(strings.Join(lines.All(), ""), secret) {
			t.Error("the log contains a secret")
		}
	}
}

// shownLine returns the beginning of a log line that the README shows, up to the end of `part`.
func shownLine(t *testing.T, readme []byte, part string) string {
	t.Helper()
	shown := "userservice: the user service is " + part
	if !strings.Contains(string(readme), "    "+shown) {
		t.Errorf("the README does not show %q", shown)
	}
	return shown
}

// answerOf returns the response to a request, with its body. Its status is 0 if there is none.
func answerOf(t *testing.T, method, url, token, body string) (*http.Response, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return &http.Response{}, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response, text
}
