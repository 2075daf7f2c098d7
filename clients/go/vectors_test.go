package userservice_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"example.com/userservice"
	"example.com/userservice/internal/notation"
)

const vectors = "../../user-proto/vectors/"

type vector struct {
	Name, Message, Direction, Type, Hex string
	Level, Code, Field, Of              string
	ID                                  uint32
	Fields, Common                      map[string]any
	CanonicalHex                        string `json:"canonical_hex"`
	ValidAt                             []int  `json:"valid_at"`
}

func loadVectors(t testing.TB, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(vectors + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	decoded, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func TestValidVectors(t *testing.T) {
	var all struct{ Vectors []vector }
	loadVectors(t, "valid.json", &all)
	for _, v := range all.Vectors {
		frame, err := userservice.Decode(v.Direction, unhex(t, v.Hex))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if fmt.Sprintf("%02x", frame.Kind) != v.Type || frame.ID != v.ID {
			t.Errorf("%s: type or id", v.Name)
		}
		if fields := notation.ToJSON(frame.Message); !reflect.DeepEqual(fields, v.Fields) {
			t.Errorf("%s: got %v, expected %v", v.Name, fields, v.Fields)
		}
		if len(frame.Common)+len(v.Common) > 0 && !reflect.DeepEqual(frame.Common, v.Common) {
			t.Errorf("%s: got %v, expected %v", v.Name, frame.Common, v.Common)
		}
		expected := v.Hex
		if v.CanonicalHex != "" {
			expected = v.CanonicalHex
		}
		encoded, err := frame.Encode()
		if err != nil || hex.EncodeToString(encoded) != expected {
			t.Errorf("%s: encoded as %x (%v)", v.Name, encoded, err)
		}
		// The same from the notation.
		fresh := userservice.MessageOf(frame.Kind)
		if err := notation.FromJSON(v.Fields, reflect.ValueOf(fresh).Elem()); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		} else if !reflect.DeepEqual(notation.ToJSON(fresh), v.Fields) {
			t.Errorf("%s: got %v from the notation", v.Name, notation.ToJSON(fresh))
		}
	}
	t.Logf("%d valid vectors", len(all.Vectors))
}

func TestInvalidVectors(t *testing.T) {
	var all struct{ Vectors, Truncations []vector }
	loadVectors(t, "invalid.json", &all)
	for _, v := range all.Vectors {
		frame, err := userservice.Decode(v.Direction, unhex(t, v.Hex))
		if v.Level == "incomplete" {
			if !errors.Is(err, userservice.ErrIncomplete) {
				t.Errorf("%s: %v", v.Name, err)
			}
			continue
		}
		if err == nil && v.Field == "request_id" && frame.ID == 0 {
			continue
		}
		if err == nil {
			t.Errorf("%s was accepted", v.Name)
			continue
		}
		code, field := userservice.DecodeError(err)
		if got := fmt.Sprintf("%04X", uint16(code)); got != v.Code || field != v.Field {
			t.Errorf("%s: got %s %q, expected %s %q", v.Name, got, field, v.Code, v.Field)
		}
	}
	t.Logf("%d invalid vectors", len(all.Vectors))
}

func TestTruncations(t *testing.T) {
	var valid struct{ Vectors []vector }
	var invalid struct{ Truncations []vector }
	loadVectors(t, "valid.json", &valid)
	loadVectors(t, "invalid.json", &invalid)
	byName := map[string]vector{}
	for _, v := range valid.Vectors {
		byName[v.Name] = v
	}
	count := 0
	for _, truncation := range invalid.Truncations {
		frame := unhex(t, byName[truncation.Of].Hex)
		validAt := map[int]bool{}
		for _, size := range truncation.ValidAt {
			validAt[size] = true
		}
		for size := 0; size < len(frame); size++ {
			if _, err := userservice.Decode(byName[truncation.Of].Direction, frame[:size]); !errors.Is(err, userservice.ErrIncomplete) {
				t.Errorf("%s at %d: %v", truncation.Of, size, err)
			}
		}
		for body := 0; body < len(frame)-9; body++ {
			count++
			cut := append([]byte{}, frame[:9+body]...)
			binary.BigEndian.PutUint32(cut, uint32(5+body))
			_, err := userservice.Decode(byName[truncation.Of].Direction, cut)
			if validAt[body] != (err == nil) {
				t.Errorf("%s with a body of %d: %v", truncation.Of, body, err)
			} else if code, _ := codeOf(err); err != nil && code != userservice.CodeMalformed {
				t.Errorf("%s with a body of %d: %v", truncation.Of, body, err)
			}
		}
	}
	t.Logf("%d truncations", count)
}

func codeOf(err error) (userservice.ErrorCode, string) {
	if err == nil {
		return 0, ""
	}
	return userservice.DecodeError(err)
}

// TestGeneratedCode checks that the committed files are those that the generator writes.
func TestGeneratedCode(t *testing.T) {
	folder := t.TempDir()
	run(t, goCommand(), "run", "./internal/generate", vectors+"protocol.json", folder)
	files, err := os.ReadDir(folder)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		fresh, err := os.ReadFile(folder + "/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(file.Name())
		if err != nil || !bytes.Equal(fresh, committed) {
			t.Errorf("%s is not up to date: run go run ./internal/generate (%v)", file.Name(), err)
		}
	}
	here, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range here {
		if strings.HasPrefix(file.Name(), "zz_") {
			if _, err := os.Stat(folder + "/" + file.Name()); err != nil {
				t.Errorf("%s is not generated any more", file.Name())
			}
		}
	}
}
