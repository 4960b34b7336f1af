package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// A Process is a running program.
type Process struct {
	Name string
	Addr string // host:port of what it serves
	PID  int

	command *exec.Cmd
	log     string
	watch   io.Closer
	guard   *exec.Cmd
	exited  chan struct{}
}

// A program says what to start.
type program struct {
	name, path string
	args       []string
	env        []string // all of it but PATH and HOME
	dir        string   // for its log
	addr       string   // empty where the program says it itself
	credential *syscall.Credential
	ready      func(ctx context.Context, p *Process) error
}

const (
	startsWithin = time.Minute
	stopsWithin  = 30 * time.Second
)

// The watchdog ends a program, and all it started, once this process is gone without having stopped it.
const watchdog = `read -r stopped || kill -s KILL -- "-$1" 2>/dev/null`

// start returns when the program is ready.
func start(ctx context.Context, s program) (_ *Process, err error) {
	p := &Process{Name: s.name, Addr: s.addr, log: filepath.Join(s.dir, s.name+".log"), exited: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", s.name, err)
	}
	defer log.Close()
	p.command = exec.Command(s.path, s.args...)
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}, s.env...)
	p.command.Stdout, p.command.Stderr, p.command.Dir = log, log, s.dir
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.credential}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	p.PID = p.command.Process.Pid
	if err := p.guarded(); err != nil {
		return nil, errors.Join(err, p.command.Process.Kill())
	}
	go func() { // ends with the program
		_ = p.command.Wait() // how it ended is in its state
		close(p.exited)
	}()
	if err := p.awaitReady(ctx, s.ready); err != nil {
		said, _ := os.ReadFile(p.log)
		return nil, errors.Join(fmt.Errorf("%s does not serve: %w; it said:\n%s", s.name, err, tail(said)), p.Stop())
	}
	return p, nil
}

func (p *Process) guarded() (err error) {
	p.guard = exec.Command("/bin/sh", "-c", watchdog, "watchdog", strconv.Itoa(p.PID))
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is not for it
	in, err := p.guard.StdinPipe()
	if err != nil {
		return fmt.Errorf("make the watchdog's pipe: %w", err)
	}
	p.watch = in
	if err := p.guard.Start(); err != nil {
		return fmt.Errorf("start the watchdog: %w", err)
	}
	return nil
}

func (p *Process) awaitReady(ctx context.Context, ready func(context.Context, *Process) error) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	return await(ctx, func() error {
		select {
		case <-p.exited:
			return fatal{fmt.Errorf("it ended: %s", p.command.ProcessState)}
		default:
			return ready(ctx, p)
		}
	})
}

// fatal is an error that trying again does not mend.
type fatal struct{ error }

// await tries again and again until it succeeds, ctx ends or it cannot succeed any more.
func await(ctx context.Context, try func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if _, hopeless := errors.AsType[fatal](err); err == nil || hopeless {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Stop asks the program to end, ends it if it does not, and waits until it is gone.
func (p *Process) Stop() error {
	defer func() {
		if stdin, ok := p.watch.(io.Writer); ok {
			_, _ = io.WriteString(stdin, "stopped\n") // without it the watchdog ends what is gone already
		}
		_ = p.watch.Close()
		_ = p.guard.Wait()
	}()
	signal := syscall.SIGTERM
	if filepath.Base(p.command.Path) == "postgres" {
		signal = syscall.SIGINT // and not when the last client leaves
	}
	if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	timer := time.NewTimer(stopsWithin)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		err := fmt.Errorf("%s did not stop within %s, and was killed", p.Name, stopsWithin)
		return errors.Join(err, syscall.Kill(-p.PID, syscall.SIGKILL))
	}
}

// tail is the end of what a program said.
func tail(said []byte) []byte { return said[max(0, len(said)-4<<10):] }

// connects is ready once something accepts connections.
func connects(ctx context.Context, p *Process) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// freeAddr gives an address of the loopback that is free now.
func freeAddr() (string, error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return "", err
	}
	return addrs[0], nil
}

// freeAddrs gives some that differ.
func freeAddrs(n int) (addrs []string, err error) {
	for range n {
		listener, listening := net.Listen("tcp", "127.0.0.1:0")
		if listening != nil {
			return nil, fmt.Errorf("find a free port: %w", listening)
		}
		defer func() { err = errors.Join(err, listener.Close()) }()
		addrs = append(addrs, listener.Addr().String())
	}
	return addrs, nil
}

func port(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// run runs a program to its end.
func run(ctx context.Context, dir string, env []string, path string, args ...string) error {
	command := exec.CommandContext(ctx, path, args...)
	command.Dir, command.Env = dir, append(os.Environ(), env...)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w; it said:\n%s", filepath.Base(path), err, tail(said.Bytes()))
	}
	return nil
}
