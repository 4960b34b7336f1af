package config

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestRedisURLs(t *testing.T) {
	for text, want := range map[string]RedisTarget{
		"redis://h":                  {Kind: RedisSingle, Addrs: []string{"h:6379"}},
		"redis://10.0.0.1:6380/3":    {Kind: RedisSingle, Addrs: []string{"10.0.0.1:6380"}, DB: 3},
		"redis://:p%40%2F@[::1]:1/0": {Kind: RedisSingle, Addrs: []string{"[::1]:1"}, Password: "p@/"},
		"rediss://u:p@h/":            {Kind: RedisSingle, Addrs: []string{"h:6379"}, TLS: true, Username: "u", Password: "p"},
		"redis+cluster://a,b:7000":   {Kind: RedisCluster, Addrs: []string{"a:6379", "b:7000"}},
		"rediss+cluster://u:p@a/0":   {Kind: RedisCluster, Addrs: []string{"a:6379"}, TLS: true, Username: "u", Password: "p"},
		"redis+sentinel://u:p@a,b:1/2?master=m&sentinel_username=su&sentinel_password=sp": {
			Kind: RedisSentinel, Addrs: []string{"a:26379", "b:1"}, DB: 2, Username: "u", Password: "p",
			Master: "m", SentinelUsername: "su", SentinelPassword: "sp",
		},
	} {
		got, err := ParseRedisURL(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestRefusedRedisURLs(t *testing.T) {
	for text, why := range map[string]string{
		"":                                  "unknown scheme",
		"localhost:6379":                    "not a URL",
		"http://h":                          "unknown scheme",
		"redis+ring://h":                    "unknown scheme",
		"redis+single://h":                  "unknown scheme",
		"redis://":                          "a host is missing",
		"redis://h:port":                    "not a URL",
		"redis://h:70000":                   "malformed",
		"redis://a,b":                       "several hosts need",
		"redis+cluster://a,,b":              "a host is missing",
		"redis://h/one":                     "not a database number",
		"redis://h/1/2":                     "not a database number",
		"redis+cluster://h/1":               "only database 0",
		"redis+sentinel://h/0":              "a Sentinel needs ?master=name",
		"redis://h?db=1":                    "unknown query parameters",
		"redis+sentinel://h?master=m&x=1":   "unknown query parameters",
		"redis+sentinel://h?master=m&x=%zz": "malformed",
		"redis://h:":                        "malformed",
		"redis://h/0#x":                     "percent-encoded",
		"redis://:hunter2#x@h":              "percent-encoded",
		"redis://:hunter2@x@h":              "percent-encoded",
		"redis://:hunter2%@h":               "percent-encoded",
	} {
		_, err := ParseRedisURL(text)
		require.ErrorContains(t, err, why, text)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// FuzzParseRedisURL: what is accepted is also accepted masked, and shows no password.
func FuzzParseRedisURL(f *testing.F) {
	f.Add("redis://u:p@h:1/2")
	f.Add("rediss+sentinel://:p@a,b/0?master=m&sentinel_password=q")
	f.Add("redis+cluster://[::1]:7000,b")
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseRedisURL(text)
		if err != nil {
			return
		}
		for _, addr := range target.Addrs {
			require.True(t, isHostPort(addr), addr)
		}
		masked, err := ParseRedisURL(URL(text).String())
		require.NoError(t, err)
		require.Contains(t, []Secret{"", hidden}, masked.Password)
		require.Contains(t, []Secret{"", hidden}, masked.SentinelPassword)
		masked.Password, masked.SentinelPassword = target.Password, target.SentinelPassword
		require.Equal(t, target, masked)
	})
}

func TestPostgresURLs(t *testing.T) {
	for text, host := range map[string]string{
		"postgres://h/d": "h",
		"postgresql://u:p%40@h:5433/d?sslmode=disable": "h",
		"postgres://a:1,b:2/d":                         "a",
		"postgres://[::1]:1/d":                         "::1",
		"postgres:///d?host=/run/postgresql":           "/run/postgresql",
	} {
		require.NoError(t, checkPostgres(text), text)
		driver, err := pgconn.ParseConfig(text)
		require.NoError(t, err)
		require.Equal(t, host, driver.Host, "the driver understands it the same way")
		require.Equal(t, "d", driver.Database)
	}
	for text, why := range map[string]string{
		"host=h dbname=d":            "not a PostgreSQL URL",
		"mysql://h/d":                "not a PostgreSQL URL",
		"sqlite:viva.db":             "not a URL",
		"postgres://h":               "names no database",
		"postgres://h/":              "names no database",
		"postgres://h/a/b":           "names no database",
		"postgres:///d":              "a host is missing",
		"postgres://u:hunter2#@h/d":  "percent-encoded",
		"postgres://u:hunter2@@h/d":  "percent-encoded",
		"postgres://h:hunter2/d":     "not a URL",
		"postgres://h:99999/hunter2": "malformed",
	} {
		err := checkPostgres(text)
		require.ErrorContains(t, err, why, text)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
