package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const export = `{"kind":"key","id":"k1"}` + "\n" + `{"kind":"end","lines":1}` + "\n"

func TestAnExportIsWrittenWholeOrNotAtAll(t *testing.T) {
	s := start(t, map[string]reply{
		"GET /api/v1/keys/k1/export":       ok(export),
		"GET /api/v1/owners/cust_1/export": ok(export[:len(export)-1]),
	})
	got := run(t, "", "keys", "export", "k1")
	require.Equal(t, result{0, export, ""}, got)

	dir := t.TempDir()
	path := filepath.Join(dir, "export.ndjson")
	require.Zero(t, run(t, "", "keys", "export", "k1", "--output", path).code)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, strings.Split(export, "\n"), strings.Split(string(text), "\n"))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	got = run(t, "", "owners", "export", "cust_1", "-o", filepath.Join(dir, "cut"))
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "cut off")
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, list, 1, "only the whole one is there")
	require.Equal(t, 1, run(t, "", "keys", "export", "nobody").code)
	require.Equal(t, 1, run(t, "", "keys", "export", "k1", "-o", filepath.Join(dir, "none", "file")).code)
	require.Equal(t, "GET /api/v1/keys/k1/export", s.lines()[0])
}

func TestPersonalDataIsErasedOnceItIsConfirmed(t *testing.T) {
	const counts = `{"logs":3,"violations":2,"audit_logs":1}`
	s := start(t, map[string]reply{
		"POST /api/v1/keys/k1/erase-personal-data":       ok(counts),
		"POST /api/v1/owners/cust_1/erase-personal-data": ok(counts),
	})
	require.Equal(t, 2, run(t, "", "keys", "erase-personal-data", "k1").code)
	require.Empty(t, s.requests)
	got := run(t, "", "keys", "erase-personal-data", "k1", "--yes")
	require.Equal(t, result{0, "erased the personal data of key k1: 3 logs, 2 violations, 1 entries of the audit log\n", ""}, got)
	got = run(t, "", "owners", "erase-personal-data", "cust_1", "--yes", "-o", "json")
	require.Zero(t, got.code)
	require.JSONEq(t, counts, got.stdout)
	require.Equal(t, 1, run(t, "", "owners", "erase-personal-data", "nobody", "--yes").code)
}
