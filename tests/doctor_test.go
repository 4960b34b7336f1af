//go:build journeys

package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

// finding is what `viva doctor` says of one thing.
type finding struct{ Name, Status, Found, Advice string }

// examine runs `viva doctor` and gives its exit code and what is neither well nor of no use here.
func examine(t *testing.T, s settings, args ...string) (code int, amiss []finding) {
	t.Helper()
	code, said := run(t, s, "viva", append([]string{"doctor", "--json"}, args...)...)
	var all []finding
	require.NoError(t, json.NewDecoder(strings.NewReader(said)).Decode(&all), said) // an error may follow
	require.NotEmpty(t, all)
	for _, f := range all {
		if f.Status != "ok" && f.Status != "not_checked" {
			amiss = append(amiss, f)
		}
	}
	return code, amiss
}

// well requires that the doctor finds nothing, and changes no file.
func well(t *testing.T, s settings, args ...string) {
	t.Helper()
	code, amiss := examine(t, s, args...)
	require.Empty(t, amiss)
	require.Zero(t, code)
}

// files are the names and sizes of what is in a folder, to the bottom.
func files(t *testing.T, folder string) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	require.NoError(t, filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			found[path] = info.Size()
		}
		return err
	}))
	return found
}

func TestTheDoctorFindsNothingWrongWithAnEmbeddedService(t *testing.T) {
	s, folder := alone(t), t.TempDir()
	s = s.with(settings{"VIVA_DATA_DIR": filepath.Join(folder, "data")})
	well(t, s)
	require.Empty(t, files(t, folder), "it has made nothing")

	serve := start(t, s, "viva", "serve")
	secret := serve.client().create(object{"name": "k"}).Secret
	require.NoError(t, serve.client().says("ok", secret))
	well(t, s.with(settings{"VIVA_SERVER_ADDR": strings.TrimPrefix(serve.url, "http://")}))
	require.NoError(t, serve.client().says("ok", secret), "which goes on")
	serve.stop()
	left := files(t, folder)
	well(t, s)
	require.Equal(t, left, files(t, folder))

	killed := start(t, s, "viva", "serve")
	require.NoError(t, killed.client().says("ok", secret))
	killed.kill()
	well(t, s, "--only", "data,database,migrations,tokens")
	restarted := start(t, s, "viva", "serve")
	require.NoError(t, restarted.client().says("ok", secret), "which finds all as it was")
	restarted.stop()
	well(t, s)

	code, said := run(t, s.with(settings{"VIVA_CACHE_TTL": "never"}), "viva", "doctor")
	require.Equal(t, 2, code)
	require.Contains(t, said, "cache.ttl")
}

func TestTheDoctorExaminesASharedInstallation(t *testing.T) {
	redis := testenv.StartProxy(t, testenv.Redis(t))
	s := shared(t, testenv.Postgres(t), redis.URL())
	s = s.with(settings{"VIVA_DATA_DIR": filepath.Join(t.TempDir(), "data")})
	start(t, s, "worker")
	api := start(t, s, "api")
	api.client().create(object{"name": "k"})
	beside := s.with(settings{"VIVA_SERVER_ADDR": strings.TrimPrefix(api.url, "http://")})

	eventually(t, patience, func() error {
		if _, amiss := examine(t, s, "--only", "partitions"); len(amiss) > 0 {
			return fmt.Errorf("the worker has not made partitions: %+v", amiss)
		}
		return nil
	})

	// The server of the tests keeps nothing through a loss of power.
	code, amiss := examine(t, beside)
	require.Equal(t, 1, code)
	require.Len(t, amiss, 2, "%+v", amiss)
	for i, setting := range []string{"fsync", "full_page_writes"} {
		require.Equal(t, "postgres", amiss[i].Name)
		require.Contains(t, amiss[i].Advice, setting+" = on")
	}

	redis.Cut()
	code, amiss = examine(t, beside, "--only", "redis,clock-redis,queue,database")
	require.Equal(t, 1, code)
	require.Len(t, amiss, 1, "what depends on it is not told again: %+v", amiss)
	require.Equal(t, "redis", amiss[0].Name)
	require.Contains(t, amiss[0].Advice, "redis.url")
	redis.Restore()
	eventually(t, patience, func() error { return api.client().answers(200, "GET", "/health/ready") })
	well(t, beside, "--only", "redis,clock-redis,queue,database,service,processes,jobs,ingestion,partitions,migrations,tokens,connections")
}
