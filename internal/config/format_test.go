package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFormats(t *testing.T) {
	for name, row := range map[string]struct{ good, bad []string }{
		"hostport": {
			[]string{":8080", "0.0.0.0:0", "localhost:65535", "[::]:80", "api.internal:80"},
			[]string{"", "8080", "localhost", "h:", "h:http", "h:65536", "h:-1", "::1:80", "a b:80", "http://h:80"},
		},
		"server": {
			[]string{"smtp.example.com:587", "[::1]:25", "10.0.0.1:465", "relay:25"},
			[]string{"", ":25", "relay", "relay:", "relay:0", "relay:65536", "a b:25", "smtp://relay:25"},
		},
		"mailbox": {
			[]string{"a@b.example", "Alerts <a@b.example>", `"Viva, alerts" <a@b.example>`, "é <a@b.example>"},
			[]string{"", "alerts", "a@", "a@b.example, c@d.example", "a@b.example\nBcc: c@d.example"},
		},
		"line": {[]string{"x", " a b "}, []string{"", "a\nb", "a\x00"}},
		"path": {[]string{"/x", "./data", "a b"}, []string{"", "a\x00b"}},
		"origin": {
			[]string{"*", "https://a.example", "http://localhost:3000", "http://[::1]:3000"},
			[]string{"", "a.example", "https://a.example/", "ftp://a.example", "https://*.a.example", "https://u@a.example", "https://a?b", "null"},
		},
		"method":    {[]string{"GET", "PATCH"}, []string{"", "get", "G T"}},
		"header":    {[]string{"X-Request-Id"}, []string{"", "X Y", "X:", "X\n"}},
		"namespace": {[]string{"viva", "a-b_1", strings.Repeat("a", 32)}, []string{"", "A", "a:b", "{a}", strings.Repeat("a", 33)}},
		"prefix":    {[]string{"viva", "a_1", strings.Repeat("a", 16)}, []string{"", "Viva", "a-b", "a_live", strings.Repeat("a", 17)}},
		"name":      {[]string{"free", "Pro 2", "日本", "é"}, []string{"", " free", "free ", "a\nb", "a\x00", strings.Repeat("a", 129)}},
		"pepper":    {[]string{strings.Repeat("x", 32)}, []string{"", strings.Repeat("x", 31)}},
		"token":     {[]string{strings.Repeat("x", 32)}, []string{strings.Repeat("x", 31), strings.Repeat("x ", 20), strings.Repeat("x", 513)}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range row.good {
				require.NoError(t, formats[name].check(text), text)
			}
			for _, text := range row.bad {
				require.EqualError(t, formats[name].check(text), "want "+formats[name].want, text)
			}
		})
	}
}
