package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPrintedConfigurationLoadsAgain(t *testing.T) {
	c, err := load(t, "", "VIVA_SERVER_TRUSTED_PROXIES=10.0.0.0/8,::1", "VIVA_SERVER_CORS_ALLOWED_ORIGINS=*", "VIVA_PLANS_DEFAULT=true")
	require.NoError(t, err)
	var first, second strings.Builder
	require.NoError(t, c.Print(&first))
	require.Contains(t, first.String(), "environment: dev # default\nserver:\n  addr: 127.0.0.1:8080 # default\n")
	require.Contains(t, first.String(), `  trusted_proxies: [10.0.0.0/8, '::1/128'] # VIVA_SERVER_TRUSTED_PROXIES`)
	require.Contains(t, first.String(), "  idle_timeout: 2m # default\n")

	again, err := load(t, first.String())
	require.NoError(t, err)
	again.origins = c.origins
	require.Equal(t, c, again)
	require.NoError(t, again.Print(&second))
	require.Equal(t, first.String(), second.String())
}

func TestSecretsAreNeverShown(t *testing.T) {
	secrets := []string{"db-hunter2", "redis-hunter2", "sentinel-hunter2", strings.Repeat("pepper-hunter2", 3), strings.Repeat("previous-hunter2", 3), strings.Repeat("token-hunter2", 3), "smtp-hunter2"}
	c, err := load(t, "",
		"VIVA_DATABASE_URL=postgres://viva:"+secrets[0]+"@db:5432/viva?sslpassword="+secrets[0],
		"VIVA_REDIS_URL=redis+sentinel://:"+secrets[1]+"@a,b/0?master=m&sentinel_password="+secrets[2],
		"VIVA_KEYS_PEPPER="+secrets[3], "VIVA_KEYS_PEPPER_PREVIOUS="+secrets[4], "VIVA_BOOTSTRAP_TOKEN="+secrets[5],
		"VIVA_NOTIFY_SMTP_USERNAME=viva", "VIVA_NOTIFY_SMTP_PASSWORD="+secrets[6])
	require.NoError(t, err)
	target, err := ParseRedisURL(string(c.Redis.URL))
	require.NoError(t, err)

	var printed strings.Builder
	require.NoError(t, c.Print(&printed))
	require.Contains(t, printed.String(), "postgres://viva:***@db:5432/viva?sslpassword=***")
	require.Contains(t, printed.String(), "redis+sentinel://:***@a,b/0?master=m&sentinel_password=***")
	require.Contains(t, printed.String(), "pepper: '***' # VIVA_KEYS_PEPPER\n")
	asJSON, err := json.Marshal([]any{c, target})
	require.NoError(t, err)

	shown := printed.String() + string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		shown += fmt.Sprintf(verb, c) + fmt.Sprintf(verb, *c) + fmt.Sprintf(verb, target)
	}
	for _, secret := range append(secrets, fmt.Sprintf("%x", "hunter2")) {
		require.NotContains(t, shown, secret)
	}
}

func TestErrorsNeverRepeatAValue(t *testing.T) {
	for _, s := range settingsOf(new(Config)) {
		for _, value := range []string{"hunter2\x00", "postgres://u:hunter2@", "hunter2\n@#%"} {
			if err := s.set(value); err != nil {
				require.NotContains(t, err.Error(), "hunter2", s.path)
			}
		}
	}
}

func TestDurationsArePrintedShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Millisecond: "1ms", 10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s",
		time.Hour: "1h", 24 * time.Hour: "24h", time.Hour + time.Minute: "1h1m", time.Hour + time.Second: "1h0m1s", 10 * time.Hour: "10h",
	} {
		require.Equal(t, want, durationText(d))
	}
}
