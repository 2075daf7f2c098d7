package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// about describes each request, after its name.
var about = map[string]string{
	"Register":             "starts a registration, and emails a code to the address.",
	"Login":                "opens a session.",
	"VerifyToken":          "checks whether an access token is valid now.",
	"UpdateUser":           "changes the username, the email address or the password.",
	"DeleteUser":           "deletes the account, and ends all its sessions.",
	"VerifyEmail":          "completes a registration, and opens a session.",
	"ResendCode":           "emails a code again.",
	"RefreshToken":         "exchanges a refresh token for new tokens of the same session.",
	"Logout":               "ends the session of a token, or all sessions of the user.",
	"GetUser":              "returns the account of a token.",
	"RequestPasswordReset": "emails a code with which the password can be set.",
	"ResetPassword":        "sets the password, and ends all sessions.",
	"ConfirmEmail":         "completes a change of the email address.",
	"ListSessions":         "returns the open sessions of the user.",
	"EndSession":           "ends one session of the user.",
	"GetKeys":              "returns the public keys with which access tokens are signed.",
	"WatchRevocations":     "returns the revocations after a cursor. Use a Verifier instead.",
	"Ping":                 "checks that the server responds.",
}

func requests(o *output, all *protocol) error {
	o.line("import \"time\"\n")
	for _, m := range all.Requests {
		doc := about[m.Name]
		if doc == "" {
			return fmt.Errorf("there is no description of %s", m.Name)
		}
		if err := structure(o, m.Name, doc, m.Fields, true); err != nil {
			return err
		}
		retry := map[string]string{"once": "retryOnce", "safe": "retrySafe", "safe_within_30_s": "retrySafeForAWhile"}[m.Retry]
		if retry == "" {
			return fmt.Errorf("unknown retry class %q", m.Retry)
		}
		hasSecret := false
		for _, f := range m.Fields {
			hasSecret = hasSecret || f.Kind == "secret"
		}
		o.line("var info%s = requestInfo{name: %q, kind: 0x%s, reply: 0x%02x, changes: %t, hasSecret: %t, retry: %s}\n",
			m.Name, m.Name, m.Type, byteOf(m.Type)|0x80, m.Changes, hasSecret, retry)
		o.line("func (m *%s) info() *requestInfo { return &info%s }\n", m.Name, m.Name)
		hashes, err := hashesExpression(m)
		if err != nil {
			return err
		}
		o.line("func (m *%s) hashes() bool { return %s }\n", m.Name, hashes)
	}
	o.line("// common are the tags that any request may have.\ntype common struct {")
	for _, f := range all.Common {
		o.line("%s *%s", lower(camel(f.Name, f.Kind)), kinds[f.Kind].goType)
	}
	o.line("}\n\nfunc (c *common) append(w *writer) {")
	for _, f := range all.Common {
		value, quoted, known := "c."+lower(camel(f.Name, f.Kind)), strconv.Quote(f.Name), kinds[f.Kind]
		o.line("if %s != nil {", value)
		o.line("w.tag(0x%s, %s, %s)", f.Tag, quoted, spread(known.size, "(*"+value+")", quoted))
		o.line("%s\n}", spread(known.write, "(*"+value+")", quoted))
	}
	o.line("}\n\nfunc (r *reader) commonTag(tag byte, value []byte) {\nvar c common\nif r.common != nil { c = *r.common }\nswitch tag {")
	for _, f := range all.Common {
		quoted := strconv.Quote(f.Name)
		o.line("case 0x%s: read := %s", f.Tag, spread(kinds[f.Kind].read, "value", quoted))
		o.line("c.%s = &read", lower(camel(f.Name, f.Kind)))
	}
	o.line("default: r.unknownTag(tag)\nreturn\n}\nr.common = &c\n}")
	return nil
}

func hashesExpression(m message) (string, error) {
	var always bool
	if json.Unmarshal(m.Hashes, &always) == nil {
		return strconv.FormatBool(always), nil
	}
	var sometimes struct {
		IfPresent []string `json:"if_present"`
	}
	if err := json.Unmarshal(m.Hashes, &sometimes); err != nil || len(sometimes.IfPresent) == 0 {
		return "", fmt.Errorf("cannot tell when %s hashes", m.Name)
	}
	var parts []string
	for _, name := range sometimes.IfPresent {
		parts = append(parts, "m."+camel(name, "")+" != nil")
	}
	return strings.Join(parts, " || "), nil
}

func replies(o *output, all *protocol) error {
	o.line("import \"time\"\n")
	for _, m := range all.Replies {
		doc, name := "is a reply of the service.", m.Name
		for _, request := range all.Requests {
			if request.Reply == m.Name {
				doc = "is the reply to " + request.Name + "."
			}
		}
		if name == "ErrorReply" {
			// Callers see it as ServerError.
			name, doc = "errorReply", "is the reply to a request that was not executed."
		}
		if err := structure(o, name, doc, m.Fields, false); err != nil {
			return err
		}
		o.line("func (m *%s) kind() byte { return 0x%s }\n", name, m.Type)
	}
	o.line("// newReply returns an empty reply of a type.\nfunc newReply(kind byte) replyMessage {\nswitch kind {")
	for _, m := range all.Replies {
		if m.Name != "ErrorReply" {
			o.line("case 0x%s: return new(%s)", m.Type, m.Name)
		}
	}
	o.line("}\nreturn new(errorReply)\n}")
	return nil
}

func methods(o *output, all *protocol) error {
	o.line("import \"context\"\n")
	for _, m := range all.Requests {
		argument, value := "request "+m.Name+", ", "&request"
		if len(m.Fields) == 0 {
			argument, value = "", "&"+m.Name+"{}"
		}
		o.line("// %s %s", m.Name, about[m.Name])
		o.line("func (c *Client) %s(ctx context.Context, %soptions ...CallOption) (*%s, error) {", m.Name, argument, m.Reply)
		o.line("reply, err := c.call(ctx, %s, options)", value)
		o.line("if err != nil { return nil, err }")
		o.line("return reply.(*%s), nil\n}\n", m.Reply)
	}
	return nil
}

// defaults are the limits that a server may change, although their names begin with max.
var defaults = map[string]bool{"max_in_flight": true, "max_hashing": true}

func codes(o *output, all *protocol) error {
	o.line("// The codes of errors that this version knows.\nconst (")
	for _, e := range all.Errors {
		o.line("// %s: %s", e.Name, e.Meaning)
		o.line("Code%s ErrorCode = 0x%s", camel(strings.ToLower(e.Name), ""), e.Code)
	}
	o.line(")\n\nvar knownCodes = map[ErrorCode]codeInfo{")
	for _, e := range all.Errors {
		outcome, err := outcomeName(e.Outcome)
		if err != nil {
			return err
		}
		o.line("0x%s: {%q, %s, %d, %t},", e.Code, e.Name, outcome, e.HTTPStatus, e.RetriedBy == "client")
	}
	o.line("}\n\nvar knownClasses = map[byte]codeInfo{")
	for _, c := range all.Classes {
		outcome, err := outcomeName(c.Outcome)
		if err != nil {
			return err
		}
		if c.Class == "other" {
			o.line("}\n\nvar unknownClass = codeInfo{\"\", %s, %d, false}\n", outcome, c.HTTPStatus)
			continue
		}
		o.line("0x%s: {\"\", %s, %d, %t},", c.Class, outcome, c.HTTPStatus, c.RetriedBy == "client")
	}
	o.line("// Limits of the protocol.\nconst (")
	var names []string
	for name := range all.Limits {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		prefix := ""
		if !strings.HasPrefix(name, "max_") && !strings.HasPrefix(name, "min_") || defaults[name] {
			prefix = "default_"
		}
		if strings.HasSuffix(name, "_ms") {
			o.line("%s = %d * time.Millisecond", lower(camel(prefix+strings.TrimSuffix(name, "_ms"), "")), all.Limits[name])
		} else {
			o.line("%s = %d", lower(camel(prefix+name, "")), all.Limits[name])
		}
	}
	o.line(")")
	text := strings.Replace(o.String(), "package userservice\n", "package userservice\n\nimport \"time\"\n", 1)
	o.Reset()
	o.WriteString(text)
	return nil
}

func outcomeName(outcome string) (string, error) {
	name, ok := map[string]string{"refused": "Refused", "not_done": "NotDone", "unknown": "Unknown"}[outcome]
	if !ok {
		return "", fmt.Errorf("unknown outcome %q", outcome)
	}
	return name, nil
}

func byteOf(digits string) byte {
	value, err := strconv.ParseUint(digits, 16, 8)
	if err != nil {
		return 0
	}
	return byte(value)
}

func lower(name string) string {
	return strings.ToLower(name[:1]) + name[1:]
}
