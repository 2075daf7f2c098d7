package userservice_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"

	"example.com/userservice"
)

func TestASecretDoesNotPrint(t *testing.T) {
	const text = "correct horse"
	secret := userservice.NewSecret(text)
	type nested struct {
		Public  userservice.Secret
		private userservice.Secret
		pointer *userservice.Secret
		list    []userservice.Secret
		byName  map[string]userservice.Secret
	}
	values := []any{
		secret, &secret, []userservice.Secret{secret}, userservice.Login{Login: "ada", Password: secret},
		&userservice.UpdateUser{AccessToken: secret, NewPassword: &secret},
		userservice.LoggedIn{AccessToken: secret, RefreshToken: secret},
		nested{secret, secret, &secret, []userservice.Secret{secret}, map[string]userservice.Secret{"a": secret}},
		errors.Unwrap(fmt.Errorf("%w", &userservice.CallError{Reason: fmt.Errorf("%v", secret)})),
	}
	for _, value := range values {
		printed := ""
		for _, verb := range "vsqxXdtbcoUeEfFgGTpw" {
			for _, flag := range []string{"", "+", "#", " ", "-20", "020", ".3"} {
				printed += fmt.Sprintf("%"+flag+string(verb), value)
			}
		}
		var logged bytes.Buffer
		log.New(&logged, "", 0).Println(value)
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Error(err)
		}
		if text, err := xml.Marshal(value); err == nil {
			printed += string(text)
		}
		printed += fmt.Sprint(value) + logged.String() + string(encoded)
		for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprint([]byte(text)), "Y29ycmVjdCBob3JzZQ"} {
			if strings.Contains(printed, form) {
				t.Errorf("%T prints %q", value, form)
			}
		}
	}
	if err := gob.NewEncoder(new(bytes.Buffer)).Encode(secret); err == nil {
		t.Error("gob encodes a secret")
	}
	if fmt.Sprint(secret) != "[secret]" || secret.Reveal() != text || secret.IsEmpty() {
		t.Error(secret)
	}
	if !secret.Equal(userservice.NewSecret(text)) || secret.Equal(userservice.Secret{}) {
		t.Error("Equal")
	}
	var login userservice.Login
	if err := json.Unmarshal([]byte(`{"login":"ada","password":"correct horse"}`), &login); err != nil || !login.Password.Equal(secret) {
		t.Error(login, err)
	}
}
