// Package notation converts messages from and to the JSON of the vectors and of user-cli conform.
package notation

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"example.com/userservice"
)

// Field returns the name of a field in the protocol.
func Field(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// ToJSON returns the fields of a message, or of a row. Missing fields are left out.
func ToJSON(message any) map[string]any {
	value := reflect.Indirect(reflect.ValueOf(message))
	fields := map[string]any{}
	for i := 0; i < value.NumField(); i++ {
		name, field := Field(value.Type().Field(i)), value.Field(i)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				continue
			}
			field = field.Elem()
		}
		if field.Kind() == reflect.Bool && !field.Bool() {
			continue
		}
		fields[name] = one(name, field)
	}
	return fields
}

func one(name string, field reflect.Value) any {
	switch value := field.Interface().(type) {
	case userservice.Secret:
		return Secret(value.Reveal())
	case userservice.UUID:
		return value.String()
	case userservice.ErrorCode:
		return fmt.Sprintf("%04X", uint16(value))
	case []byte:
		return hex.EncodeToString(value)
	case time.Time:
		if strings.HasSuffix(name, "_ms") {
			return float64(value.UnixMilli())
		}
		return float64(value.Unix())
	case time.Duration:
		if strings.HasSuffix(name, "_ms") {
			return float64(value.Milliseconds())
		}
		return float64(value / time.Second)
	case string:
		return value
	case bool:
		return value
	}
	if field.Kind() == reflect.Slice {
		rows := []any{}
		for i := 0; i < field.Len(); i++ {
			rows = append(rows, ToJSON(field.Index(i).Interface()))
		}
		return rows
	}
	return float64(field.Uint())
}

// Secret returns the notation of a secret.
func Secret(text string) any {
	if strings.ToValidUTF8(text, "") != text {
		return map[string]any{"hex": hex.EncodeToString([]byte(text))}
	}
	return text
}

// FromJSON sets the fields of a message, or of a row.
func FromJSON(fields map[string]any, message reflect.Value) error {
	known := map[string]reflect.StructField{}
	for i := 0; i < message.NumField(); i++ {
		field := message.Type().Field(i)
		known[Field(field)] = field
	}
	for name, value := range fields {
		field, ok := known[name]
		if !ok {
			return fmt.Errorf("unknown field %s", name)
		}
		target := message.FieldByIndex(field.Index)
		if target.Kind() == reflect.Pointer {
			target.Set(reflect.New(target.Type().Elem()))
			target = target.Elem()
		}
		if err := set(name, value, target); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func set(name string, value any, target reflect.Value) error {
	isMillis := strings.HasSuffix(name, "_ms")
	switch into := target.Addr().Interface().(type) {
	case *userservice.Secret:
		text, err := secretText(value)
		*into = userservice.NewSecret(text)
		return err
	case *userservice.UUID:
		return into.UnmarshalText([]byte(value.(string)))
	case *userservice.ErrorCode:
		_, err := fmt.Sscanf(value.(string), "%x", into)
		return err
	case *[]byte:
		decoded, err := hex.DecodeString(value.(string))
		*into = decoded
		return err
	case *time.Time:
		if isMillis {
			*into = time.UnixMilli(number(value)).UTC()
		} else {
			*into = time.Unix(number(value), 0).UTC()
		}
	case *time.Duration:
		unit := time.Second
		if isMillis {
			unit = time.Millisecond
		}
		*into = time.Duration(number(value)) * unit
	case *string:
		*into = value.(string)
	case *bool:
		*into = value.(bool)
	default:
		if rows, ok := value.([]any); ok {
			target.Set(reflect.MakeSlice(target.Type(), len(rows), len(rows)))
			for i, row := range rows {
				if err := FromJSON(row.(map[string]any), target.Index(i)); err != nil {
					return err
				}
			}
			return nil
		}
		target.SetUint(uint64(number(value)))
	}
	return nil
}

func secretText(value any) (string, error) {
	if encoded, ok := value.(map[string]any); ok {
		decoded, err := hex.DecodeString(encoded["hex"].(string))
		return string(decoded), err
	}
	return value.(string), nil
}

func number(value any) int64 {
	if precise, ok := value.(json.Number); ok {
		integer, err := precise.Int64()
		if err != nil {
			return -1
		}
		return integer
	}
	return int64(value.(float64))
}
