// Command generate writes the messages, methods and error codes of the client from protocol.json.
//
// Run it in the folder of the client: go run ./internal/generate [PROTOCOL.JSON [FOLDER]]
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"
)

const header = "// Code generated from protocol.json by internal/generate. DO NOT EDIT.\n\npackage userservice\n"

type protocol struct {
	Classes  []codeClass
	Common   []field
	Errors   []errorCode
	Limits   map[string]int64
	Replies  []message
	Requests []message
}

type codeClass struct {
	Class      string
	HTTPStatus int `json:"http_status"`
	Outcome    string
	RetriedBy  string `json:"retried_by"`
}

type errorCode struct {
	codeClass
	Code, Meaning, Name string
}

type message struct {
	Name, Type, Reply, Retry string
	Changes                  bool
	Hashes                   json.RawMessage
	Fields                   []field
}

type field struct {
	Name, Kind, Tag string
	Required        bool
	Rows            []field
}

func main() {
	source, folder := "../../user-proto/vectors/protocol.json", "."
	if len(os.Args) > 1 {
		source = os.Args[1]
	}
	if len(os.Args) > 2 {
		folder = os.Args[2]
	}
	if err := run(source, folder); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(source, folder string) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	var all protocol
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	files := map[string]func(*output, *protocol) error{
		"zz_requests.go": requests,
		"zz_replies.go":  replies,
		"zz_methods.go":  methods,
		"zz_codes.go":    codes,
	}
	for name, write := range files {
		out := &output{}
		out.line("%s", header)
		if err := write(out, &all); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		formatted, err := format.Source(out.Bytes())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), formatted, 0o644); err != nil {
			return err
		}
	}
	return nil
}

type output struct{ bytes.Buffer }

func (o *output) line(text string, values ...any) {
	fmt.Fprintf(o, text+"\n", values...)
}

var initialisms = map[string]string{"id": "ID", "jwks": "JWKS", "http": "HTTP"}

// camel returns the Go name of a field. A unit at its end is part of the type instead.
func camel(name, kind string) string {
	if kind == "millis" || kind == "instant_ms" {
		name = strings.TrimSuffix(name, "_ms")
	}
	var camel string
	for _, word := range strings.Split(name, "_") {
		if known, ok := initialisms[word]; ok {
			camel += known
		} else {
			camel += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return camel
}
