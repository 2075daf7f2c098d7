package userservice_test

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"example.com/userservice"
)

// TestTheReadmeListsEveryMethod checks the table of methods against the methods.
func TestTheReadmeListsEveryMethod(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	begin := "| method | what it does | request | reply |\n|---|---|---|---|\n"
	_, table, _ := strings.Cut(string(text), begin)
	table, _, _ = strings.Cut(table, "\n\n")
	if expected := strings.Join(methodRows(t), "\n"); table != expected {
		t.Errorf("the table of methods should be:\n%s%s", begin, expected)
	}
}

// methodRows returns a row for each method of a client that sends a request.
func methodRows(t *testing.T) []string {
	code, err := os.ReadFile("zz_methods.go")
	if err != nil {
		t.Fatal(err)
	}
	about := map[string]string{}
	for _, comment := range regexp.MustCompile(`(?m)^// (\w+) (.*)\.$`).FindAllStringSubmatch(string(code), -1) {
		about[comment[1]] = comment[2]
	}
	var rows []string
	methods := reflect.TypeOf(&userservice.Client{})
	for i := 0; i < methods.NumMethod(); i++ {
		method := methods.Method(i)
		arguments := method.Type.NumIn()
		if arguments < 3 || method.Type.In(1) != reflect.TypeOf((*context.Context)(nil)).Elem() {
			continue
		}
		request := "-"
		if arguments == 4 {
			request = fieldsOf(method.Type.In(2))
		}
		rows = append(rows, "| `"+method.Name+"` | "+about[method.Name]+" | "+request+" | "+fieldsOf(method.Type.Out(0).Elem())+" |")
	}
	return rows
}

func fieldsOf(message reflect.Type) string {
	var names []string
	for i := 0; i < message.NumField(); i++ {
		field := message.Field(i)
		name := field.Name
		if strings.HasSuffix(field.Tag.Get("json"), ",omitempty") {
			name += "?"
		}
		names = append(names, "`"+name+"`")
	}
	if names == nil {
		return "-"
	}
	return strings.Join(names, ", ")
}
