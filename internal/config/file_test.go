package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMistakesInTheFile(t *testing.T) {
	for name, row := range map[string]struct{ yaml, path, message string }{
		"misspelled group":     {"rate_limit: {store_timeout: 1s}", "rate_limit", "unknown setting; did you mean ratelimit?"},
		"misspelled key":       {"redis: {namespce: x}", "redis.namespce", "unknown setting; did you mean redis.namespace?"},
		"nothing like it":      {"telemetry: {on: true}", "telemetry", "unknown setting; `viva config` lists them all"},
		"capitals":             {"Server: {addr: 127.0.0.1:1}", "Server", "unknown setting; did you mean server?"},
		"dotted key":           {"log.level: info", "log.level", "unknown setting; did you mean log.level?"},
		"value for a group":    {"server: 127.0.0.1:1", "server", "want a group of settings"},
		"numbers as keys":      {"server: {1: 2}", "server", "want a group of settings"},
		"number for text":      {"redis: {namespace: 0123}", "redis.namespace", "want text, in quotes: 1 to 32 of a-z, 0-9, _ and -"},
		"group for a value":    {"worker: {addr: {}}", "worker.addr", "want text, in quotes: host:port, such as 127.0.0.1:8080"},
		"number without unit":  {"server: {read_timeout: 15}", "server.read_timeout", "want a duration from 10ms to 10m"},
		"fraction":             {"database: {max_open_conns: 20.5}", "database.max_open_conns", "want a whole number from 1 to 10000"},
		"word for a switch":    {"database: {migrate: yes please}", "database.migrate", "want true or false"},
		"list for a switch":    {"database: {migrate: [true]}", "database.migrate", "want true or false"},
		"number in a list":     {"server: {cors: {allowed_headers: [1]}}", "server.cors.allowed_headers", "want a list, each a header name, such as Content-Type"},
		"group for a list":     {"server: {trusted_proxies: {a: b}}", "server.trusted_proxies", "want a list of networks or addresses, such as 10.0.0.0/8"},
		"two documents":        {"log: {level: info}\n---\nlog: {level: warn}", "", "want one YAML document of settings: more than one document"},
		"broken second":        {"log: {level: info}\n---\n}", "", "want one YAML document of settings: more than one document"},
		"a list":               {"- log", "", "want one YAML document of settings: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into map[string]interface {}"},
		"secret like an alias": {"keys: {pepper: *hunter2}", "", "want one YAML document of settings: yaml: unknown anchor *** referenced"},
		"secret alone":         {"hunter2", "", "want one YAML document of settings: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str *** into map[string]interface {}"},
	} {
		t.Run(name, func(t *testing.T) {
			found := problems(t, row.yaml)
			require.Len(t, found, 1)
			require.Equal(t, row.path, found[0].Path)
			require.Equal(t, row.message, found[0].Message)
			require.NotContains(t, found[0].Message, "hunter2")
		})
	}
}

func TestDuplicateKeysAreReported(t *testing.T) {
	found := problems(t, "log: {level: info}\nlog: {level: warn}")
	require.Len(t, found, 1)
	require.Contains(t, found[0].Message, `line 2: mapping key "log" already defined at line 1`)
}

func TestMissingFileIsReportedWithItsName(t *testing.T) {
	_, err := Load(Options{File: "/nowhere/viva.yaml", Environ: []string{"VIVA_LOG_LEVEL=loud"}})
	require.EqualError(t, err, "/nowhere/viva.yaml: cannot read it: no such file or directory\n"+
		"log.level (VIVA_LOG_LEVEL): want debug, info, warn or error")
}

func TestEmptyPartsOfTheFileMeanDefaults(t *testing.T) {
	for _, yaml := range []string{"# nothing\n", "server:\n", "server:\n  addr:\n", "server: {}\n"} {
		c, err := load(t, yaml)
		require.NoError(t, err, yaml)
		require.Equal(t, "127.0.0.1:8080", c.Server.Addr)
		require.Equal(t, "default", c.origins["server.addr"])
	}
}

func TestListsInTheFile(t *testing.T) {
	for _, yaml := range []string{
		"server: {trusted_proxies: [10.1.2.3/8, '::1']}",
		"server: {trusted_proxies: '10.1.2.3/8, ::1'}",
	} {
		c, err := load(t, yaml)
		require.NoError(t, err)
		require.Len(t, c.Server.TrustedProxies, 2)
		require.Equal(t, "10.0.0.0/8", c.Server.TrustedProxies[0].String())
		require.Equal(t, "::1/128", c.Server.TrustedProxies[1].String())
	}
	c, err := load(t, "server: {cors: {allowed_methods: []}}")
	require.NoError(t, err)
	require.Empty(t, c.Server.CORS.AllowedMethods)
}
