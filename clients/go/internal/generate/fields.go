package main

import (
	"fmt"
	"strconv"
)

// kind describes the Go form of a type of fields. In the expressions, %[1]s is the value and %[2]s
// the quoted name of the field.
type kind struct {
	goType string
	size   string // size of a value in bytes
	write  string // appends a value, without its length
	read   string // reads a value from the bytes %[1]s
}

var kinds = map[string]kind{
	"text":       {"string", "len(%[1]s)", "w.text(%[2]s, %[1]s)", "r.text(%[2]s, %[1]s)"},
	"address":    {"string", "len(%[1]s)", "w.address(%[2]s, %[1]s)", "r.address(%[2]s, %[1]s)"},
	"secret":     {"Secret", "len(%[1]s.raw())", "w.raw(%[1]s.raw())", "NewSecret(string(%[1]s))"},
	"bytes":      {"[]byte", "len(%[1]s)", "w.raw(%[1]s)", "append([]byte{}, %[1]s...)"},
	"uuid":       {"UUID", "16", "w.raw(%[1]s[:])", "UUID(r.asID(%[2]s, %[1]s))"},
	"key":        {"IdempotencyKey", "16", "w.raw(%[1]s[:])", "IdempotencyKey(r.asID(%[2]s, %[1]s))"},
	"instant":    {"time.Time", "8", "w.instant(%[2]s, %[1]s.Unix())", "time.Unix(r.asInstant(%[2]s, %[1]s), 0).UTC()"},
	"instant_ms": {"time.Time", "8", "w.instant(%[2]s, %[1]s.UnixMilli())", "time.UnixMilli(r.asInstant(%[2]s, %[1]s)).UTC()"},
	"seconds":    {"time.Duration", "4", "w.duration(%[2]s, %[1]s, time.Second)", "time.Duration(r.asU32(%[2]s, %[1]s)) * time.Second"},
	"millis":     {"time.Duration", "4", "w.duration(%[2]s, %[1]s, time.Millisecond)", "time.Duration(r.asU32(%[2]s, %[1]s)) * time.Millisecond"},
	"number":     {"uint32", "4", "w.u32(%[1]s)", "r.asU32(%[2]s, %[1]s)"},
	"byte":       {"uint8", "1", "w.u8(%[1]s)", "r.asU8(%[2]s, %[1]s)"},
	"error_code": {"ErrorCode", "2", "w.u16(uint16(%[1]s))", "ErrorCode(r.asU16(%[2]s, %[1]s))"},
}

var rowTypes = map[string]string{"sessions": "Session", "entries": "Revocation"}

// structure writes a type with its fields, and the methods that encode and decode it.
func structure(o *output, name, doc string, fields []field, isRequest bool) error {
	o.line("// %s %s\ntype %s struct {", name, doc, name)
	for _, f := range fields {
		goType, optional := kinds[f.Kind].goType, ",omitempty"
		switch {
		case f.Kind == "list":
			goType, optional = "[]"+rowTypes[f.Name], ""
		case f.Kind == "flag":
			goType = "bool"
		case f.Required:
			optional = ""
		default:
			goType = "*" + goType
		}
		if goType == "" || goType == "*" {
			return fmt.Errorf("unknown kind %q", f.Kind)
		}
		o.line("%s %s `json:\"%s%s\"`", camel(f.Name, f.Kind), goType, f.Name, optional)
	}
	o.line("}\n")
	encoder(o, name, fields)
	decoder(o, name, fields, isRequest)
	for _, f := range fields {
		if f.Kind == "list" {
			doc := "is a row of " + name + "."
			if err := structure(o, rowTypes[f.Name], doc, f.Rows, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func encoder(o *output, name string, fields []field) {
	if len(fields) == 0 {
		o.line("func (m *%s) appendFields(_ *writer) {}\n", name)
		return
	}
	o.line("func (m *%s) appendFields(w *writer) {", name)
	for _, f := range fields {
		value, quoted, known := "m."+camel(f.Name, f.Kind), strconv.Quote(f.Name), kinds[f.Kind]
		switch {
		case f.Kind == "list":
			o.line("w.size(%s, len(%s))", quoted, value)
			o.line("for i := range %s { w.row(%s, &%s[i]) }", value, quoted, value)
		case f.Kind == "flag":
			o.line("if %s { w.tag(0x%s, %s, 0) }", value, f.Tag, quoted)
		case f.Required:
			if known.size[0] == 'l' {
				o.line("w.size(%s, %s)", quoted, fmt.Sprintf(known.size, value))
			}
			o.line(known.write, value, quoted)
		default:
			o.line("if %s != nil {", value)
			o.line("w.tag(0x%s, %s, %s)", f.Tag, quoted, spread(known.size, "(*"+value+")", quoted))
			o.line("%s\n}", spread(known.write, "(*"+value+")", quoted))
		}
	}
	o.line("}\n")
}

func decoder(o *output, name string, fields []field, isRequest bool) {
	o.line("func (m *%s) readFields(r *reader) {", name)
	hasTags := false
	for _, f := range fields {
		value, quoted, known := "m."+camel(f.Name, f.Kind), strconv.Quote(f.Name), kinds[f.Kind]
		switch {
		case !f.Required:
			hasTags = true
		case f.Kind == "list":
			o.line("r.rows(%s, func(r *reader) {", quoted)
			o.line("var row %s", rowTypes[f.Name])
			o.line("row.readFields(r)")
			o.line("%s = append(%s, row)", value, value)
			o.line("})")
		case known.size[0] == 'l':
			o.line("%s = %s", value, spread(known.read, "r.sized("+quoted+")", quoted))
		default:
			bytes := fmt.Sprintf("r.take(%s, %s)", quoted, known.size)
			o.line("%s = %s", value, spread(known.read, bytes, quoted))
		}
	}
	// The common tags of a request are read by those who need them.
	rest := "r.unknownTag(tag)"
	if isRequest {
		rest = "r.commonTag(tag, value)"
	}
	o.line("for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {")
	if !hasTags {
		if !isRequest {
			o.line("_ = value")
		}
		o.line("%s\n}\n}\n", rest)
		return
	}
	o.line("switch tag {")
	for _, f := range fields {
		value, quoted := "m."+camel(f.Name, f.Kind), strconv.Quote(f.Name)
		switch {
		case f.Required:
		case f.Kind == "flag":
			o.line("case 0x%s: %s = r.exact(%s, value, 0)", f.Tag, value, quoted)
		default:
			o.line("case 0x%s: read := %s", f.Tag, spread(kinds[f.Kind].read, "value", quoted))
			o.line("%s = &read", value)
		}
	}
	o.line("default: %s\n}\n}\n}\n", rest)
}

// spread inserts a value and a name into an expression that may use either.
func spread(expression, value, name string) string {
	return fmt.Sprintf(expression+"%[3]s", value, name, "")
}
