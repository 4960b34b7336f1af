// Package testenv gives tests real servers: private PostgreSQL and Redis processes started from the machine's own
// binaries, and a TCP proxy that injects faults between a test and a server.
//
// [Postgres] and [Redis] share one server per test process, started when first asked for; every test gets a database
// of its own on it. [PostgresServer] and [RedisServer] start a server for one test alone, which may kill it, stop it
// and start it again. [RedisCluster], [RedisSentinel] and [RedisTLS] start Redis in its other forms, and
// [RedisPrograms] names all that speak its protocol here. Servers listen on free loopback ports and keep everything
// they write in a temporary folder. A watchdog ends them and removes the folder when the test process is gone, however
// it ended.
//
// It stands outside the floors: it imports nothing of this module, and only tests import it (an architecture test
// holds both).
package testenv

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// readyWithin bounds the start of a server, and its orderly stop. Starting takes about a second; the rest is room for
// a machine that runs many test processes at once.
const readyWithin = time.Minute

// Postgres returns the URL of a fresh, empty PostgreSQL database, dropped when the test ends. The role in the URL is a
// superuser. The server is shared by the tests of the process, or is the one VIVA_TEST_POSTGRES_URL names.
func Postgres(tb testing.TB) string {
	tb.Helper()
	return lend(tb, sharedPostgres, createDatabase)
}

// Redis returns the URL of an empty logical database of a Redis server, flushed when the test ends. The server is
// shared by the tests of the process, or is the one VIVA_TEST_REDIS_URL names; so pub/sub channels, scripts and
// configuration are shared too, and FLUSHALL is not for it: see [RedisServer].
func Redis(tb testing.TB) string {
	tb.Helper()
	return lend(tb, sharedRedis, leaseDatabase)
}

// lend takes a database of the shared server for the time of the test.
func lend(
	tb testing.TB,
	shared func() (*process, error),
	take func(context.Context, *process) (url string, giveBack func() error, err error),
) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), readyWithin)
	defer cancel()
	server, err := shared()
	if err != nil {
		tb.Fatalf("testenv: %v", err)
	}
	url, giveBack, err := take(ctx, server)
	if err != nil {
		tb.Fatalf("testenv: %v", err)
	}
	tb.Cleanup(func() {
		if err := giveBack(); err != nil {
			tb.Errorf("testenv: %v", err)
		}
	})
	return url
}

// A Server belongs to one test, which may take it down and bring it back. It starts running and is removed when the
// test ends. Its methods are for the goroutine that runs the test, one at a time: they fail the test when they cannot
// do what they say.
type Server struct {
	tb      testing.TB
	process *process
}

// PostgresServer starts a PostgreSQL server for this test alone. The URL names an empty database.
func PostgresServer(tb testing.TB) *Server {
	tb.Helper()
	process, err := startPostgres()
	return own(tb, process, err)
}

var persistent = []string{"--appendonly", "yes", "--appendfsync", "no"}

// RedisServer starts a Redis server for this test alone. It keeps what it acknowledged across Kill and Start.
func RedisServer(tb testing.TB) *Server {
	tb.Helper()
	process, err := startRedis(persistent...)
	return own(tb, process, err)
}

// RedisPrograms are the servers on this machine that speak the protocol, of a version we serve: redis-server always,
// and valkey-server where it is in PATH.
func RedisPrograms(tb testing.TB) []string {
	tb.Helper()
	program, err := newest("redis-server", 7)
	if err != nil {
		tb.Fatalf("testenv: %v", err)
	}
	programs := []string{program}
	if valkey, err := newest("valkey-server", 7); err == nil {
		programs = append(programs, valkey)
	}
	return programs
}

// RedisServerOf is [RedisServer] with one of the [RedisPrograms].
func RedisServerOf(tb testing.TB, program string) *Server {
	tb.Helper()
	process, err := startRedisOf(program, persistent...)
	return own(tb, process, err)
}

func own(tb testing.TB, process *process, err error) *Server {
	tb.Helper()
	if err != nil {
		tb.Fatalf("testenv: %v", err)
	}
	server := &Server{tb: tb, process: process}
	tb.Cleanup(func() { server.check(process.remove()) })
	return server
}

// URL is where the server listens while it runs: the same after every Start.
func (s *Server) URL() string { return s.process.url }

// Kill ends the server with SIGKILL, as a crash would, and returns when all of its processes are gone.
func (s *Server) Kill() {
	s.tb.Helper()
	s.check(s.process.kill())
}

// Stop ends the server in good order: connections are closed and everything is written.
func (s *Server) Stop() {
	s.tb.Helper()
	s.check(s.process.stop())
}

// Start brings a killed or stopped server back, with its data, and returns when it answers.
func (s *Server) Start() {
	s.tb.Helper()
	s.check(s.process.start())
}

func (s *Server) check(err error) {
	s.tb.Helper()
	if err != nil {
		s.tb.Fatalf("testenv: %v", err)
	}
}

var leadingNumber = regexp.MustCompile(`\d+`)

// newest returns the path of the newest program of that name, of at least the given major version, among the folders
// of PATH and those the globs match.
func newest(program string, atLeast int, globs ...string) (string, error) {
	folders := filepath.SplitList(os.Getenv("PATH"))
	for _, glob := range globs {
		matches, err := filepath.Glob(glob)
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", program, err)
		}
		folders = append(folders, matches...)
	}
	best, version := "", atLeast-1
	for _, folder := range folders {
		path := filepath.Join(folder, program)
		answer, err := exec.Command(path, "--version").Output()
		if err != nil {
			continue // not there, or not for this user
		}
		if major, err := strconv.Atoi(leadingNumber.FindString(string(answer))); err == nil && major > version {
			best, version = path, major
		}
	}
	if best == "" {
		return "", fmt.Errorf("no %s of version %d or newer on this machine: run `make deps`", program, atLeast)
	}
	return best, nil
}

// withDatabase is the server's URL with another database as its path.
func withDatabase(server, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // connecting to it says what is wrong
	}
	u.Path = "/" + database
	return u.String()
}
