package controllers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
)

func TestACursorIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list, p := rapid.String().Draw(t, "list"), models.Position{Value: rapid.String().Draw(t, "value"), ID: rapid.String().Draw(t, "id")}
		got, ok := parseCursor(list, newCursor(list, p))
		require.True(t, ok)
		require.Equal(t, p, got)
		_, ok = parseCursor(list+"?", newCursor(list, p))
		require.False(t, ok)
	})
}

func FuzzParseCursor(f *testing.F) {
	f.Add("keys", newCursor("keys", models.Position{Value: "a", ID: "b"}))
	f.Add("keys", "AAAA")
	f.Fuzz(func(t *testing.T, list, cursor string) {
		if p, ok := parseCursor(list, cursor); ok {
			require.Equal(t, cursor, newCursor(list, p), "only what was given is taken")
		}
	})
}

func TestDurationsAreWrittenShortAndReadBack(t *testing.T) {
	for text, want := range map[string]string{
		"60s": "1m", "3600s": "1h", "90m": "1h30m", "1h0m5s": "1h0m5s", "100ms": "100ms", "0s": "0s", "720h": "720h", "1.5s": "1.5s", "10m0s": "10m",
	} {
		var d duration
		require.NoError(t, d.UnmarshalText([]byte(text)))
		short, err := d.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want, string(short))
		back, err := time.ParseDuration(string(short))
		require.NoError(t, err)
		require.Equal(t, time.Duration(d), back)
	}
}
