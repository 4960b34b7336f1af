package apikey_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestMask(t *testing.T) {
	tests := []struct{ name, s, want string }{
		{"a key", liveKey, "viva_live_…sHmi"},
		{"a key with a prefix of two words", testKey, "shop_eu_test_…FJTs"},
		{"a token", token, "vivat_…ZFtt"},
		{"a foreign key", "sk-0123456789abcdefgh", "…efgh"},
		{"a mistyped key", liveKey[:20] + "-" + liveKey[21:], "…sHmi"},
		{"too short to tell a part of", "hunter2", "…"},
		{"text", "not a key but a sentence", "…"},
		{"nothing", "", "…"},
		{"a mask", "viva_live_…sHmi", "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, apikey.Mask(test.s))
		})
	}
}

func TestSecretShowsOnlyItsMask(t *testing.T) {
	secret, err := apikey.Generate("viva", apikey.Live)
	require.NoError(t, err)
	hidden, mask := secret.Reveal()[len("viva_live_"):], secret.Mask()
	require.Equal(t, apikey.Mask(secret.Reveal()), mask)

	marshaled, err := json.Marshal(map[string]any{"value": secret, "pointer": &secret})
	require.NoError(t, err)
	var jsonLog, textLog bytes.Buffer
	slog.New(slog.NewJSONHandler(&jsonLog, nil)).Info("made", "secret", secret)
	slog.New(slog.NewTextHandler(&textLog, nil)).Info("made", "secret", secret)
	showing := map[string]string{
		"String": secret.String(),
		"JSON":   string(marshaled),
		"slog":   jsonLog.String(),
		"text":   textLog.String(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%100v", "%.3s"} {
		showing[verb] = fmt.Sprintf(verb, secret)
	}
	for how, shown := range showing {
		require.NotContains(t, shown, hidden, how)
		require.Contains(t, shown, mask, how)
	}
}

func TestSecretInsideAnotherStructStaysHidden(t *testing.T) {
	secret := apikey.GenerateToken()
	type response struct {
		Exported   apikey.Secret
		unexported apikey.Secret
	}
	r := response{secret, secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{r, &r, []response{r}} {
			shown := fmt.Sprintf(verb, value)
			require.NotContains(t, shown, r.unexported.Reveal(), verb)
			require.NotContains(t, shown, fmt.Sprintf("%x", r.unexported.Reveal()), verb)
		}
	}
}

func TestZeroSecretIsEmpty(t *testing.T) {
	var secret apikey.Secret
	require.Empty(t, secret.Reveal())
	require.Equal(t, "…", fmt.Sprint(secret))
}
