package testenv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedisProgramsAreThoseInPath(t *testing.T) {
	found := RedisPrograms(t)
	require.Equal(t, "redis-server", filepath.Base(found[0]))

	// What a Valkey would be to us: another name, a version of its own, the same settings.
	folder := t.TempDir()
	valkey := filepath.Join(folder, "valkey-server")
	script := `#!/bin/sh
[ "$1" = --version ] && echo 'Valkey server v=99.1.2 sha=0' && exit
exec ` + found[0] + ` "$@"
`
	require.NoError(t, os.WriteFile(valkey, []byte(script), 0o755))
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	require.Equal(t, []string{found[0], valkey}, RedisPrograms(t))
	server := RedisServerOf(t, valkey)
	require.NoError(t, client(t, server.URL()).Set(t.Context(), "kept", 1, 0).Err())
	server.Kill()
	server.Start()
	require.Equal(t, "1", client(t, server.URL()).Get(t.Context(), "kept").Val())
}
