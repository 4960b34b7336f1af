// Package redisserver starts a private Redis server: on a free port of the loopback, writing nothing to disk, and
// gone with the process that started it.
package redisserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a running server.
type Server struct {
	Addr    string
	Version string

	shell *exec.Cmd
	life  io.Closer // end of file on it ends the server
}

// The shell outlives an interrupt from the terminal, and ends the server when its input ends: when the server is
// stopped, or the process that started it is gone, however that came.
const watch = `trap '' INT
"$@" </dev/null >"$0" 2>&1 &
cat >/dev/null
kill "$!"; wait "$!"; rm -f "$0"`

// Start starts a server and waits until it serves.
func Start(ctx context.Context) (*Server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server must be in PATH: %w", err)
	}
	log, err := os.CreateTemp("", "viva-bench-redis-*.log")
	if err != nil {
		return nil, fmt.Errorf("make the server's log: %w", err)
	}
	defer log.Close()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.shell = exec.Command("/bin/sh", "-c", watch, log.Name(), program, "--bind", "127.0.0.1", "--port",
		strconv.Itoa(port), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--databases", "64")
	if s.life, err = s.shell.StdinPipe(); err != nil {
		return nil, fmt.Errorf("make the server's pipe: %w", err)
	}
	if err := s.shell.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := s.awaitReady(ctx); err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("%w; the server said:\n%s", err, said), s.Stop())
	}
	return s, nil
}

// Stop ends the server and waits until it is gone.
func (s *Server) Stop() error {
	err := s.life.Close()
	// Its exit status is that of the last command in the shell, and tells nothing.
	_ = s.shell.Wait()
	return err
}

// Client returns a new client of one of the server's 64 databases, with the options it has when none are given.
func (s *Server) Client(database int) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr, DB: database})
}

var versionLine = regexp.MustCompile(`(?m)^(?:redis|valkey)_version:(\S+)`)

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var dialer net.Dialer // and not the client, which repeats a failed dial, and logs it
	for {
		conn, err := dialer.DialContext(ctx, "tcp", s.Addr)
		if err == nil {
			conn.Close()
			return s.askVersion(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no Redis on %s: %w", s.Addr, err)
		case <-tick.C:
		}
	}
}

func (s *Server) askVersion(ctx context.Context) error {
	client := s.Client(0)
	defer client.Close()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("ask for the server's version: %w", err)
	}
	found := versionLine.FindStringSubmatch(info)
	if found == nil {
		return fmt.Errorf("no version in %q", strings.TrimSpace(info))
	}
	s.Version = found[1]
	return nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
