//go:build journeys

package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds what has no bound of its own. Everything it bounds takes a fraction of it.
const patience = 30 * time.Second

// settings are environment variables by name.
type settings map[string]string

// with gives the settings with others added or in their place.
func (s settings) with(others settings) settings {
	all := maps.Clone(s)
	maps.Copy(all, others)
	return all
}

// environ is all that a program sees of the environment: nothing of the tests' own but where programs are.
func (s settings) environ() []string {
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}
	for name, value := range s {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// A process is a program running for one test. Its methods are for the goroutine that runs the test.
type process struct {
	t        *testing.T
	name     string
	settings settings
	url      string // where it answers, once it is ready
	output   *output
	command  *exec.Cmd
	watch    io.WriteCloser
	exited   chan struct{} // closed when it is gone and all it wrote is in output
}

// The watchdog ends a program and all it started when the tests die without having stopped it: what it reads then
// ends without a line.
const watchdog = `read -r stopped || kill -s KILL -- "-$1" 2>/dev/null`

// launch starts a program, in a process group of its own. When the test ends it is asked to stop, if it still runs.
func launch(t *testing.T, s settings, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: filepath.Base(path), settings: s, output: newOutput(), exited: make(chan struct{})}
	p.command = exec.Command(path, args...)
	p.command.Env = s.environ()
	p.command.Stdout, p.command.Stderr = p.output, p.output
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, p.command.Start())

	guard := exec.Command("/bin/sh", "-c", watchdog, "watchdog", strconv.Itoa(p.command.Process.Pid))
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is not for it
	var err error
	p.watch, err = guard.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, guard.Start())

	var waiting sync.WaitGroup
	waiting.Go(func() {
		_ = p.command.Wait() // how it ended is in ProcessState
		_, _ = io.WriteString(p.watch, "stopped\n")
		p.watch.Close()
		_ = guard.Wait()
		close(p.exited)
	})
	t.Cleanup(func() {
		p.end()
		waiting.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, p.output.tail(8<<10))
		}
	})
	return p
}

// start launches one of the built programs and returns when it is ready to answer.
func start(t *testing.T, s settings, name string, args ...string) *process {
	t.Helper()
	p := launch(t, s, program(name), args...)
	p.awaitReady()
	return p
}

// The greeting comes when the process answers. A worker says so, too.
var greeting = regexp.MustCompile(`(?m)^viva (?:worker )?is ready: (https?://[0-9.:]+)`)

func (p *process) awaitReady() {
	p.t.Helper()
	p.url = p.awaitOutput(patience, greeting)[1]
	ready := newClient(p.t, p.url, "")
	eventually(p.t, patience, func() error { return ready.answers(http.StatusOK, "GET", "/health/ready") })
}

// eventually tries again and again until what should happen has happened.
func eventually(t *testing.T, limit time.Duration, try func() error) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(limit); ; <-again.C {
		err := try()
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(deadline), "not within %s: %v", limit, err)
	}
}

// awaitOutput waits until the process has written what matches, and returns the first match with its groups.
func (p *process) awaitOutput(limit time.Duration, pattern *regexp.Regexp) []string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	found, err := p.output.await(ctx, p.exited, pattern)
	require.NoError(p.t, err, "%s wrote:\n%s", p.name, p.output)
	return found
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// signal sends a signal, which a process that is gone does not mind.
func (p *process) signal(signal syscall.Signal) {
	if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %s: %v", p.name, err)
	}
}

// exit waits for the end of the process and gives its exit code; -1 where a signal ended it.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		require.Fail(p.t, "it does not end", "%s wrote:\n%s", p.name, p.output)
	}
	return p.command.ProcessState.ExitCode()
}

// stop asks the process to end, as a supervisor does, and requires that it ends well.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	require.Equal(p.t, 0, p.exit(), "%s did not stop well; it wrote:\n%s", p.name, p.output)
}

// interrupt ends the process and all it started as control and C do at a terminal. It says nothing of how they end.
func (p *process) interrupt() {
	p.t.Helper()
	require.NoError(p.t, syscall.Kill(-p.command.Process.Pid, syscall.SIGINT))
	p.exit()
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.exit()
}

// end is stop for the end of a test, where nothing may be left behind.
func (p *process) end() {
	if !p.running() {
		return
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		if code := p.command.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("%s stopped with code %d", p.name, code)
		}
	case <-time.After(patience):
		p.t.Errorf("%s did not stop", p.name)
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) // the whole group; nothing is left to be done if it fails
		<-p.exited
	}
}

// run runs a built program to its end.
func run(t *testing.T, s settings, name string, args ...string) (code int, said string) {
	t.Helper()
	p := launch(t, s, program(name), args...)
	return p.exit(), p.output.String()
}

// output is what a program has written so far. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text []byte
	more chan struct{} // closed with the next write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	close(o.more)
	o.more = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// tail gives the last whole lines of at most so many bytes.
func (o *output) tail(bytes int) string {
	text := o.String()
	if len(text) <= bytes {
		return text
	}
	_, rest, _ := strings.Cut(text[len(text)-bytes:], "\n")
	return rest
}

// await waits for what matches the pattern, until ctx ends or the writer is gone.
func (o *output) await(ctx context.Context, gone <-chan struct{}, pattern *regexp.Regexp) ([]string, error) {
	for last := false; ; {
		o.mu.Lock()
		found, more := pattern.FindSubmatch(o.text), o.more
		o.mu.Unlock()
		if found != nil {
			return strings.Split(string(bytes.Join(found, []byte{0})), "\x00"), nil
		}
		if last {
			return nil, fmt.Errorf("it ended without writing %s", pattern)
		}
		select {
		case <-more:
		case <-gone:
			last = true
		case <-ctx.Done():
			return nil, fmt.Errorf("await %s: %w", pattern, ctx.Err())
		}
	}
}
