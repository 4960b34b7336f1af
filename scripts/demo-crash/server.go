package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/viva/rate-limiter/pkg/client"
)

// A server is `viva serve` in a folder, from one life to the next. One
// goroutine starts and ends it; any may ask for its client.
type server struct {
	program, folder string
	command         *exec.Cmd // nil while it does not run
	url             atomic.Pointer[string]
}

var ready = regexp.MustCompile(`is ready: (https?://[0-9.:]+)`)

const (
	startsWithin = 20 * time.Second
	stopsWithin  = 20 * time.Second
)

// start returns when the service answers.
func (s *server) start(ctx context.Context) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	command := exec.Command(s.program, "serve")
	command.Env = s.environ()
	command.Stdout, command.Stderr = write, write
	err = command.Start()
	write.Close()
	if err != nil {
		read.Close()
		return fmt.Errorf("start %s: %w (make bin/viva builds it)", s.program, err)
	}
	s.command = command
	urls, said := make(chan string, 1), make(chan string, 1)
	go func() { // ends with the process
		defer read.Close()
		said <- listen(read, urls)
	}()
	timer := time.NewTimer(startsWithin)
	defer timer.Stop()
	select {
	case url := <-urls:
		s.url.Store(&url)
		return nil
	case text := <-said:
		return fmt.Errorf("%s ended; it said:\n%s", s.program, text)
	case <-timer.C:
		return fmt.Errorf("%s is not ready within %s", s.program, startsWithin)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listen tells where the service answers, and gives all that it said.
func listen(from io.Reader, urls chan<- string) string {
	var text strings.Builder
	for lines := bufio.NewScanner(from); lines.Scan(); {
		if found := ready.FindStringSubmatch(lines.Text()); found != nil {
			urls <- found[1]
		}
		fmt.Fprintln(&text, lines.Text())
	}
	return text.String()
}

// environ is the environment without settings of a service that this is not,
// and with every check kept one by one, which is otherwise bounded by second.
func (s *server) environ() []string {
	var environ []string
	for _, each := range os.Environ() {
		if !strings.HasPrefix(each, "VIVA_") {
			environ = append(environ, each)
		}
	}
	return append(environ, "VIVA_DATA_DIR="+s.folder, "VIVA_SERVER_ADDR=127.0.0.1:0", "VIVA_WORKER_ADDR=127.0.0.1:0",
		"VIVA_USAGE_RAW_ROWS_PER_SECOND=1000000", "VIVA_LOG_LEVEL=error")
}

// kill ends the service as a crash would, if it runs: nothing of it runs on.
func (s *server) kill() {
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill() // fails where it is gone already
	_ = s.command.Wait()         // tells that it was killed
	s.command = nil
	s.url.Store(nil)
}

// stop ends the service in good order.
func (s *server) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(stopsWithin, func() { _ = s.command.Process.Kill() })
	err := s.command.Wait()
	if !late.Stop() {
		err = errors.Join(err, fmt.Errorf("it did not stop within %s", stopsWithin))
	}
	s.command = nil
	s.url.Store(nil)
	return err
}

// client gives a client of this life, and nil between two of them.
func (s *server) client() (*client.Client, error) {
	url := s.url.Load()
	if url == nil {
		return nil, nil
	}
	return client.New(*url, client.WithHeaderFile(filepath.Join(s.folder, "admin.header")), client.WithRetries(0),
		client.WithHTTPClient(&http.Client{Transport: &naming{http.Transport{MaxIdleConnsPerHost: 2 * clients}}}))
}

// naming gives requests the id that their context has.
type naming struct{ http.Transport }

type nameKey struct{}

// named gives what is asked with this context an id.
func named(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, nameKey{}, id)
}

// RoundTrip makes the request.
func (n *naming) RoundTrip(r *http.Request) (*http.Response, error) {
	if id, ok := r.Context().Value(nameKey{}).(string); ok {
		r = r.Clone(r.Context())
		r.Header.Set("X-Request-Id", id)
	}
	return n.Transport.RoundTrip(r)
}
