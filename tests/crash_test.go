//go:build journeys

package tests

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/testenv"
)

func TestNothingAnsweredIsLostInACrash(t *testing.T) {
	stacks := map[string]func(t *testing.T) settings{
		"sqlite":   alone,
		"postgres": func(t *testing.T) settings { return onPostgres(t, testenv.Postgres(t)) },
	}
	for name, stack := range stacks {
		t.Run(name, func(t *testing.T) {
			s := stack(t).with(settings{"VIVA_LOG_LEVEL": "warn"})
			var keys []key
			for range 5 {
				p := start(t, s, "viva", "serve")
				made := creating(t, p.client(), p.client())
				made.more(1)
				<-time.After(rand.N(200 * time.Millisecond)) // crashes choose their moment
				p.kill()
				keys = append(keys, made.stop()...)
			}
			p := start(t, s, "viva", "serve")
			node := p.client()
			for _, k := range keys {
				require.NoError(t, node.says("ok", k.Secret))
				require.Equal(t, "active", into[key](t, node.call(200, "GET", "/api/v1/keys/"+k.ID, nil)).Status)
			}
			t.Logf("%d keys survived 5 crashes", len(keys))
		})
	}
}

func TestAFolderServesOneProcess(t *testing.T) {
	s := alone(t)
	first := start(t, s, "viva", "serve")
	code, said := run(t, s, "viva", "serve")
	require.Equal(t, 1, code)
	require.Contains(t, said, s["VIVA_DATA_DIR"])
	require.Contains(t, said, "another viva serve")
	first.client().create(object{"name": "undisturbed"})
	first.kill() // its lock goes with it
	start(t, s, "viva", "serve").stop()

	header, err := os.Stat(filepath.Join(s["VIVA_DATA_DIR"], "admin.header"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), header.Mode().Perm())
}

func TestADatabaseWithoutRedisServesOneProcess(t *testing.T) {
	server := testenv.PostgresServer(t)
	s := onPostgres(t, server.URL())
	first := start(t, s, "viva", "serve")
	refused := func() {
		t.Helper()
		code, said := run(t, s.with(settings{"VIVA_DATA_DIR": t.TempDir()}), "viva", "serve")
		require.Equal(t, 1, code, said)
		require.Contains(t, said, "another viva serve uses this database")
	}
	refused()

	// The database comes and goes, and with it whatever it knew of its clients. Within a second or so the lock is the
	// first one's again.
	node := first.client()
	made := node.create(object{"name": "before"})
	server.Kill()
	server.Start()
	first.awaitOutput(patience, regexp.MustCompile(`lock was lost .* taken again`))
	eventually(t, patience, func() error { return node.answers(200, "GET", "/health/ready") })
	require.NoError(t, node.says("ok", made.Secret))
	node.create(object{"name": "after"})
	refused()

	first.stop()
	start(t, s, "viva", "serve").stop()
}

func TestAShutdownFinishesWhatItTook(t *testing.T) {
	s := alone(t)
	p := start(t, s, "viva", "serve")
	node := p.client()
	k := node.create(object{"name": "patient"})
	slow := make([]*slowCall, 8)
	for i := range slow {
		slow[i] = beginSlowly(t, node, `{"api_key": "`+k.Secret+`"}`)
	}
	status, last := slow[0].finish()
	require.Equal(t, 200, status)
	require.False(t, last) // this connection waits for its next request, and nobody waits for it

	p.signal(syscall.SIGTERM)
	eventually(t, patience, func() error { return refusesConnections(p.url) })
	require.True(t, p.running(), "it waits for what it took")
	for _, call := range slow[1:] {
		status, last := call.finish()
		require.Equal(t, 200, status)
		require.True(t, last, "the client is told so")
	}
	require.Equal(t, 0, p.exit(), p.output)
}

func TestAShutdownWaitsNoLongerThanItMay(t *testing.T) {
	p := start(t, alone(t).with(settings{"VIVA_SERVER_SHUTDOWN_TIMEOUT": "1s"}), "viva", "serve")
	beginSlowly(t, p.client(), `{}`)
	told := time.Now()
	p.signal(syscall.SIGTERM)
	require.Equal(t, 1, p.exit(), "something was cut off: %s", p.output)
	took := time.Since(told)
	require.Greater(t, took, time.Second)
	require.Less(t, took, 4*time.Second)
}
