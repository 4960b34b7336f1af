package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// samples are accepted values for each format, none of them a default.
var samples = map[string]string{
	"hostport": "[::1]:9", "path": "/srv/x", "origin": "https://a.example", "method": "PUT", "header": "X-A",
	"namespace": "blue", "prefix": "acme", "name": "Pro 2", "pepper": strings.Repeat("p", 32), "token": strings.Repeat("t", 32),
	"postgres": "postgres://u@h:1/d", "redis": "redis://h:1/2",
	"server": "mail.example:587", "mailbox": "Ops <ops@mail.example>", "line": "a b",
	"collector": "https://otel.example/v1/traces", "headers": "authorization=Bearer x",
}

// another is an accepted value of the setting that is not its default.
func another(s setting) string {
	switch value := s.value.Interface().(type) {
	case bool:
		return strconv.FormatBool(!value)
	case int, int64, float64, time.Duration:
		return s.tag.Get("max")
	case []netip.Prefix:
		return "10.0.0.0/8"
	}
	if words := strings.Fields(s.tag.Get("oneof")); len(words) > 0 {
		return words[len(words)-1]
	}
	return samples[s.tag.Get("format")]
}

// together are settings one of them requires.
var together = map[string][]string{
	"server.tls.cert_file": {"VIVA_SERVER_TLS_KEY_FILE=k"},
	"server.tls.key_file":  {"VIVA_SERVER_TLS_CERT_FILE=c"},
	"keys.pepper_previous": {"VIVA_KEYS_PEPPER=" + strings.Repeat("q", 32)},
	"redis.url":            {"VIVA_DATABASE_URL=postgres://h/d"},
	"queue.redis_url":      {"VIVA_DATABASE_URL=postgres://h/d", "VIVA_REDIS_URL=redis://h"},
	"notify.smtp.addr":     {"VIVA_NOTIFY_SMTP_FROM=a@mail.example"},
	"notify.smtp.username": {"VIVA_NOTIFY_SMTP_PASSWORD=p"},
	"notify.smtp.password": {"VIVA_NOTIFY_SMTP_USERNAME=u"},
}

func TestEverySettingIsReachableAndPrinted(t *testing.T) {
	defaults, err := load(t, "")
	require.NoError(t, err)
	all := settingsOf(defaults)
	require.Greater(t, len(all), 50)
	for i, s := range all {
		name := "VIVA_" + strings.ToUpper(strings.NewReplacer(".", "_").Replace(s.path))
		value := another(s)
		for _, entry := range []string{name + "=" + value, name + "_FILE=" + write(t, "value", value+"\n")} {
			c, err := load(t, "", append(together[s.path], entry)...)
			require.NoError(t, err, s.path)
			got := settingsOf(c)[i]
			require.NotEqual(t, s.value.Interface(), got.value.Interface(), s.path)
			variable, _, _ := strings.Cut(entry, "=")
			require.Equal(t, variable, c.origins[s.path])

			var out strings.Builder
			require.NoError(t, c.Print(&out))
			key := s.path[strings.LastIndexByte(s.path, '.')+1:]
			line := regexp.MustCompile(`(?m)^ *` + key + `: .* # ` + variable + `$`)
			require.Regexp(t, line, out.String())
		}
	}
}

func TestEverySettingIsDeclaredWell(t *testing.T) {
	key := regexp.MustCompile(`^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)*$`)
	names := map[string]string{"VIVA_CONFIG": "", "VIVA_SERVER": "", "VIVA_TOKEN_FILE": ""}
	for _, s := range settingsOf(new(Config)) {
		require.Regexp(t, key, s.path)
		require.NotEmpty(t, s.accepts(), s.path)
		require.NoError(t, s.set(s.standard()), s.path)
		for _, name := range s.envNames() {
			require.NotContains(t, names, name, "two settings share a variable")
			names[name] = s.path
		}
	}
}

func TestRangesIncludeTheirEnds(t *testing.T) {
	for _, row := range []struct {
		value string
		ok    bool
	}{
		{"1ms", true}, {"5s", true}, {"999us", false}, {"5001ms", false}, {"-1s", false}, {"0", false}, {"50", false}, {"", false},
	} {
		_, err := load(t, "", "VIVA_RATELIMIT_STORE_TIMEOUT="+row.value)
		require.Equal(t, row.ok, err == nil, row.value)
	}
	for _, row := range []struct {
		value string
		ok    bool
	}{
		{"1024", true}, {"67108864", true}, {"1023", false}, {"67108865", false},
		{"1e6", false}, {"0x800", false}, {"99999999999999999999", false}, {" 2048", false},
	} {
		_, err := load(t, "", "VIVA_SERVER_MAX_BODY_BYTES="+row.value)
		require.Equal(t, row.ok, err == nil, row.value)
	}
}

func TestPepperPreviousNeedsAnotherPepper(t *testing.T) {
	first, second := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for _, row := range []struct {
		pepper, previous string
		ok               bool
	}{
		{first, second, true}, {first, "", true}, {"", "", true},
		{"", second, false}, {first, first, false}, {first[1:], "", false},
	} {
		_, err := load(t, "", "VIVA_KEYS_PEPPER="+row.pepper, "VIVA_KEYS_PEPPER_PREVIOUS="+row.previous)
		require.Equal(t, row.ok, err == nil, fmt.Sprint(row))
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0},
		{"abc", "abd", 1}, {"abc", "ac", 1}, {"abc", "xabc", 1}, {"kitten", "sitting", 3},
	} {
		require.Equal(t, row.want, distance(row.a, row.b), row.a+" "+row.b)
	}
}
