package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVariableMayNameAFile(t *testing.T) {
	const url = "redis://:s3cret@redis:6379/0"
	for _, end := range []string{"", "\n", "\r\n"} {
		c, err := load(t, "", "VIVA_REDIS_URL_FILE="+write(t, "url", url+end), "VIVA_DATABASE_URL=postgres://db/viva")
		require.NoError(t, err)
		require.Equal(t, url, string(c.Redis.URL))
		require.Equal(t, "VIVA_REDIS_URL_FILE", c.origins["redis.url"])
	}
}

func TestBootstrapTokenHasItsPromisedName(t *testing.T) {
	const token = "0123456789abcdef0123456789abcdef"
	file := write(t, "token", token+"\n")
	for _, entry := range []string{
		"VIVA_BOOTSTRAP_TOKEN_FILE=" + file,
		"VIVA_ACCESS_BOOTSTRAP_TOKEN_FILE=" + file,
		"VIVA_BOOTSTRAP_TOKEN=" + token,
		"VIVA_ACCESS_BOOTSTRAP_TOKEN=" + token,
	} {
		c, err := load(t, "", entry)
		require.NoError(t, err)
		require.Equal(t, token, string(c.Access.BootstrapToken))
	}
}

func TestMistakesInTheEnvironment(t *testing.T) {
	for name, row := range map[string]struct {
		environ []string
		line    string
	}{
		"value and file": {
			[]string{"VIVA_REDIS_URL=redis://h", "VIVA_REDIS_URL_FILE=/x"},
			"redis.url (VIVA_REDIS_URL, VIVA_REDIS_URL_FILE): want only one of these variables",
		},
		"two names": {
			[]string{"VIVA_BOOTSTRAP_TOKEN_FILE=/x", "VIVA_ACCESS_BOOTSTRAP_TOKEN=x"},
			"access.bootstrap_token (VIVA_ACCESS_BOOTSTRAP_TOKEN, VIVA_BOOTSTRAP_TOKEN_FILE): want only one of these variables",
		},
		"secret instead of its file": {
			[]string{"VIVA_DATABASE_URL_FILE=postgres://u:hunter2@h/d"},
			"database.url (VIVA_DATABASE_URL_FILE): cannot read the file it names: no such file or directory",
		},
		"empty number": {
			[]string{"VIVA_CACHE_MAX_ENTRIES="},
			"cache.max_entries (VIVA_CACHE_MAX_ENTRIES): want a whole number from 1 to 100000000",
		},
		"empty choice": {
			[]string{"VIVA_LOG_FORMAT="},
			"log.format (VIVA_LOG_FORMAT): want auto, json or console",
		},
		"several choices": {
			[]string{"VIVA_LOG_FORMAT=auto json"},
			"log.format (VIVA_LOG_FORMAT): want auto, json or console",
		},
		"empty address": {
			[]string{"VIVA_SERVER_ADDR="},
			"server.addr (VIVA_SERVER_ADDR): want host:port, such as 127.0.0.1:8080",
		},
		"misspelled": {
			[]string{"VIVA_RATE_LIMIT_ON_STORE_FAILURE=deny"},
			"VIVA_RATE_LIMIT_ON_STORE_FAILURE: unknown variable; did you mean VIVA_RATELIMIT_ON_STORE_FAILURE?",
		},
		"misspelled file": {
			[]string{"VIVA_REDIS_URL_FIEL=/x"},
			"VIVA_REDIS_URL_FIEL: unknown variable; did you mean VIVA_REDIS_URL_FILE?",
		},
		"nothing like it": {
			[]string{"VIVA_FOO=1"},
			"VIVA_FOO: unknown variable; `viva config` lists them all",
		},
		"port, not Kubernetes": {
			[]string{"VIVA_GATEWAY_PORT=8080"},
			"VIVA_GATEWAY_PORT: unknown variable; `viva config` lists them all",
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := problems(t, "", row.environ...)
			require.Len(t, found, 1)
			require.Equal(t, row.line, found[0].String())
		})
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	_, err := load(t, "",
		"HOME=/root", "VIVACE=1", "NONSENSE",
		"VIVA_SERVER=http://127.0.0.1:8080", "VIVA_TOKEN_FILE=/x", "VIVA_TEST_REDIS=/usr/bin/redis-server",
		// What a Pod sees beside Services called viva and viva-redis.
		"VIVA_SERVICE_HOST=10.0.0.1", "VIVA_SERVICE_PORT=80", "VIVA_SERVICE_PORT_HTTP=80", "VIVA_PORT=tcp://10.0.0.1:80",
		"VIVA_PORT_80_TCP=tcp://10.0.0.1:80", "VIVA_PORT_80_TCP_PROTO=tcp", "VIVA_PORT_80_TCP_PORT=80", "VIVA_PORT_80_TCP_ADDR=10.0.0.1",
		"VIVA_REDIS_SERVICE_HOST=10.0.0.2", "VIVA_REDIS_PORT=tcp://10.0.0.2:6379", "VIVA_REDIS_PORT_6379_TCP_ADDR=10.0.0.2",
	)
	require.NoError(t, err)
}

func TestEmptyVariableEmptiesAnOptionalSetting(t *testing.T) {
	c, err := load(t, "database: {url: postgres://h/d}\nserver: {cors: {allowed_methods: [GET]}}",
		"VIVA_DATABASE_URL=", "VIVA_SERVER_CORS_ALLOWED_METHODS=")
	require.NoError(t, err)
	require.Empty(t, c.Database.URL)
	require.Empty(t, c.Server.CORS.AllowedMethods)
}

func TestListsInTheEnvironmentHaveCommas(t *testing.T) {
	c, err := load(t, "", "VIVA_SERVER_CORS_ALLOWED_ORIGINS=https://a.example, https://b.example")
	require.NoError(t, err)
	require.Equal(t, []string{"https://a.example", "https://b.example"}, c.Server.CORS.AllowedOrigins)
}
