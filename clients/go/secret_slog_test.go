//go:build go1.21

package userservice_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"example.com/userservice"
)

func TestASecretIsNotLoggedBySlog(t *testing.T) {
	const text = "correct horse"
	secret := userservice.NewSecret(text)
	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		logger := slog.New(handler)
		logger.Info("values", "secret", secret, "pointer", &secret, "request", userservice.Login{Login: "ada", Password: secret},
			"reply", &userservice.LoggedIn{AccessToken: secret}, "list", []userservice.Secret{secret})
	}
	if found := logged.String(); strings.Contains(found, text) || strings.Count(found, "[secret]") < 6 {
		t.Error(found)
	}
}
