package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The shared servers are still running when the leak check looks: they must not cost their users a goroutine.
func TestMain(m *testing.M) {
	if os.Getenv(childURLs) != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

func connect(t *testing.T, url string) *pgx.Conn {
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(t.Context()) })
	return conn
}

func count(t *testing.T, url, query string, args ...any) int {
	var n int
	require.NoError(t, connect(t, url).QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

func client(t *testing.T, url string) *redis.Client {
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	options.MaxRetries = -1
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestPostgresGivesEachTestAnEmptyDatabaseAndDropsIt(t *testing.T) {
	other := Postgres(t)
	var dropped string
	t.Run("user", func(t *testing.T) {
		url := Postgres(t)
		require.Zero(t, count(t, url, `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`))
		_, err := connect(t, url).Exec(t.Context(), `CREATE TABLE mine (id int)`)
		require.NoError(t, err)
		require.Zero(t, count(t, other, `SELECT count(*) FROM pg_class WHERE relname = 'mine'`))
		require.NoError(t, connect(t, url).QueryRow(t.Context(), `SELECT current_database()`).Scan(&dropped))
	})
	require.Zero(t, count(t, other, `SELECT count(*) FROM pg_database WHERE datname = $1`, dropped))
}

func TestPostgresServesTimesInUTC(t *testing.T) {
	var zone string
	require.NoError(t, connect(t, Postgres(t)).QueryRow(t.Context(), `SHOW timezone`).Scan(&zone))
	require.Equal(t, "UTC", zone)
}

func TestRedisGivesEachTestAnEmptyDatabaseAndFlushesIt(t *testing.T) {
	other := client(t, Redis(t))
	var url string
	t.Run("user", func(t *testing.T) {
		url = Redis(t)
		require.NoError(t, client(t, url).Set(t.Context(), "mine", 1, 0).Err())
		require.ErrorIs(t, other.Get(t.Context(), "mine").Err(), redis.Nil)
	})
	require.Zero(t, client(t, url).DBSize(t.Context()).Val())
}

func TestRedisDatabasesAreLeasedOnceEach(t *testing.T) {
	server, err := startRedis("--databases", "3")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.remove()) })

	first, release, err := leaseDatabase(t.Context(), server)
	require.NoError(t, err)
	second, _, err := leaseDatabase(t.Context(), server)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	_, _, err = leaseDatabase(t.Context(), server)
	require.ErrorContains(t, err, "all 2 databases")

	require.NoError(t, release())
	again, _, err := leaseDatabase(t.Context(), server)
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestServersNamedByTheEnvironmentAreUsedAsTheyAre(t *testing.T) {
	postgres, redis := PostgresServer(t), RedisServer(t)
	t.Setenv("VIVA_TEST_POSTGRES_URL", postgres.URL())
	t.Setenv("VIVA_TEST_REDIS_URL", redis.URL())

	process, err := findPostgres()
	require.NoError(t, err)
	require.Equal(t, postgres.URL(), process.url)
	process, err = findRedis()
	require.NoError(t, err)
	require.Equal(t, redis.URL(), process.url)
}

func TestPostgresServerKeepsItsDataAndPlaceAcrossCrashAndStop(t *testing.T) {
	server := PostgresServer(t)
	url := server.URL()
	_, err := connect(t, url).Exec(t.Context(), `CREATE TABLE kept (id int)`)
	require.NoError(t, err)

	for want, down := range []func(){server.Kill, server.Stop} {
		_, err := connect(t, url).Exec(t.Context(), `INSERT INTO kept VALUES (1)`)
		require.NoError(t, err)
		down()
		_, err = pgx.Connect(t.Context(), url)
		require.ErrorIs(t, err, unix.ECONNREFUSED)
		server.Start()
		require.Equal(t, url, server.URL())
		require.Equal(t, want+1, count(t, url, `SELECT count(*) FROM kept`))
	}
}

func TestRedisServerKeepsItsDataAndPlaceAcrossCrashAndStop(t *testing.T) {
	server := RedisServer(t)
	url := server.URL()
	client := client(t, url)
	for want, down := range []func(){server.Kill, server.Stop} {
		require.NoError(t, client.Incr(t.Context(), "kept").Err())
		down()
		require.ErrorIs(t, client.Ping(t.Context()).Err(), unix.ECONNREFUSED)
		server.Start()
		require.Equal(t, url, server.URL())
		kept, err := client.Get(t.Context(), "kept").Int()
		require.NoError(t, err)
		require.Equal(t, want+1, kept)
	}
}

func TestKilledPostgresLeavesNoSharedMemory(t *testing.T) {
	server := PostgresServer(t)
	id, err := server.process.sharedMemory()
	require.NoError(t, err)
	_, err = unix.SysvShmCtl(id, unix.IPC_STAT, &unix.SysvShmDesc{})
	require.NoError(t, err)
	server.Kill()
	_, err = unix.SysvShmCtl(id, unix.IPC_STAT, &unix.SysvShmDesc{})
	require.ErrorIs(t, err, unix.EINVAL)
}

func TestServerThatCannotServeFailsWithItsLog(t *testing.T) {
	_, err := startRedis("--no-such-setting", "1")
	require.ErrorContains(t, err, "no-such-setting")
}

func TestNewestFindsTheNewestProgramThatIsNewEnough(t *testing.T) {
	root := t.TempDir()
	program := func(folder, says string) string {
		path := filepath.Join(root, folder, "postgres")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o755))
		return path
	}
	inPath := program("bin", "postgres (PostgreSQL) 14.2 (Debian 14.2-1)")
	program("9/bin", "postgres (PostgreSQL) 9.6.24")
	old := program("15/bin", "postgres (PostgreSQL) 15.18")
	best := program("18/bin", "postgres (PostgreSQL) 18beta1")
	t.Setenv("PATH", filepath.Dir(inPath)+":"+filepath.Join(root, "empty"))
	glob := filepath.Join(root, "*", "bin")

	for atLeast, want := range map[int]string{9: best, 15: best, 18: best} {
		got, err := newest("postgres", atLeast, glob)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := newest("postgres", 15, strings.Replace(glob, "*", "1[0-7]", 1))
	require.NoError(t, err)
	require.Equal(t, old, got)
	_, err = newest("postgres", 19, glob)
	require.ErrorContains(t, err, "make deps")
}
