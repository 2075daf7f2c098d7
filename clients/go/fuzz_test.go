package userservice_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"example.com/userservice"
	"example.com/userservice/internal/notation"
)

// FuzzDecode decodes bytes as the first frame of both directions. What is accepted has one encoding:
// only unknown tags may get lost by encoding it again.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"valid.json", "invalid.json"} {
		var all struct{ Vectors []vector }
		loadVectors(f, name, &all)
		for _, v := range all.Vectors {
			frame := unhex(f, v.Hex)
			if len(frame) > 4 {
				f.Add(frame[4:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 65_535 {
			return
		}
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
		frame = append(frame, content...)
		for _, direction := range []string{"request", "reply"} {
			decoded, err := userservice.Decode(direction, frame)
			if err != nil {
				continue
			}
			encoded, err := decoded.Encode()
			if err != nil {
				t.Fatalf("cannot be encoded again: %v", err)
			}
			if len(encoded) > len(frame) || len(encoded) == len(frame) && !bytes.Equal(encoded, frame) {
				t.Fatalf("encoded as %x", encoded)
			}
			again, err := userservice.Decode(direction, encoded)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(notation.ToJSON(again.Message), notation.ToJSON(decoded.Message)) || !reflect.DeepEqual(again.Common, decoded.Common) {
				t.Fatalf("%v became %v", notation.ToJSON(decoded.Message), notation.ToJSON(again.Message))
			}
		}
	})
}
