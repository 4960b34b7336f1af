package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is one server program with its port and folder. It owns no goroutine, so that the leak checks of the
// tests that use it stay simple.
type process struct {
	url     string
	folder  string
	port    *port
	command func() *exec.Cmd                         // the program, for one run
	ready   func(ctx context.Context, pid int) error // nil once that very process serves
	quit    syscall.Signal                           // asks for an orderly stop
	abandon syscall.Signal                           // ends it at once, leaving nothing in the kernel
	bury    func()                                   // frees what a killed program leaves in the kernel; may be nil

	watchdog *exec.Cmd
	watch    *os.File // the watchdog reads the other end; must stay reachable, as collecting it would close it
	running  *exec.Cmd
	life     *os.File // reads end of file when the program and all its children are gone
}

// The watchdog outlives the test process. Each line it reads is the id of the process to end; end of file means that
// the test process is gone or done with the server.
const watchdogScript = `
pid=
while read -r line; do pid=$line; done
[ -z "$pid" ] || kill -s "$1" "$pid"
tries=0
until rm -rf "$2" 2>/dev/null || [ "$tries" -ge 100 ]; do tries=$((tries+1)); sleep 0.1; done
`

// guard makes the folder and sets the watchdog over it.
func (p *process) guard(name string) error {
	folder, err := os.MkdirTemp(scratch(), "viva-test-"+name+"-")
	if err != nil {
		return fmt.Errorf("make the folder of %s: %w", name, err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("make the watchdog's pipe: %w", err), os.Remove(folder))
	}
	defer read.Close()
	p.folder, p.watch = folder, write
	p.watchdog = exec.Command("/bin/sh", "-c", watchdogScript, "watchdog", strconv.Itoa(int(p.abandon)), folder)
	p.watchdog.Stdin = read
	p.watchdog.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is not for it
	if err := p.watchdog.Start(); err != nil {
		return errors.Join(fmt.Errorf("start the watchdog: %w", err), write.Close(), os.Remove(folder))
	}
	return nil
}

// scratch is the folder for servers' folders: memory where there is plenty, because a PostgreSQL database is hundreds
// of files, several times faster to make there than on a disk. TMPDIR, where set, is obeyed.
func scratch() string {
	const memory, plenty = "/dev/shm", 2 << 30
	var fs unix.Statfs_t
	if os.Getenv("TMPDIR") == "" && unix.Access(memory, unix.W_OK) == nil && unix.Statfs(memory, &fs) == nil &&
		fs.Bavail*uint64(fs.Bsize) >= plenty {
		return memory
	}
	return os.TempDir()
}

// start runs the program and returns when it serves.
func (p *process) start() error {
	if p.running != nil {
		return errors.New("the server is running already")
	}
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close()
	life, held, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make the server's pipe: %w", err)
	}
	command := p.command()
	command.Stdout, command.Stderr, command.ExtraFiles = log, log, []*os.File{held}
	err = command.Start()
	held.Close() // now only the server and its children hold it
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", command.Path, err), life.Close())
	}
	p.running, p.life = command, life
	if _, err := fmt.Fprintln(p.watch, command.Process.Pid); err != nil {
		return errors.Join(fmt.Errorf("tell the watchdog: %w", err), p.kill())
	}
	return p.awaitReady()
}

func (p *process) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	for {
		err := p.ready(ctx, p.running.Process.Pid)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || p.gone(10*time.Millisecond) {
			log, _ := os.ReadFile(p.log())
			return errors.Join(fmt.Errorf("%s does not serve: %w; its log:\n%s", p.running.Path, err, log), p.kill())
		}
	}
}

// gone waits for the program and all its children to end, and reports whether they have.
func (p *process) gone(within time.Duration) bool {
	if err := p.life.SetReadDeadline(time.Now().Add(within)); err != nil {
		return false
	}
	_, err := p.life.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

func (p *process) kill() error {
	err := p.end(syscall.SIGKILL)
	if p.bury != nil {
		p.bury()
	}
	return err
}

func (p *process) stop() error { return p.end(p.quit) }

// end sends the signal and returns when nothing of the program is left.
func (p *process) end(signal syscall.Signal) error {
	if p.running == nil {
		return errors.New("the server is not running")
	}
	if err := p.running.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.running.Path, err)
	}
	if !p.gone(readyWithin) {
		return fmt.Errorf("%s is still there %v after %v", p.running.Path, readyWithin, signal)
	}
	p.reap()
	if _, err := fmt.Fprintln(p.watch); err != nil {
		return fmt.Errorf("tell the watchdog: %w", err)
	}
	return nil
}

// reap takes the exit status of a program that has ended or was told to. It says nothing a caller needs: whoever ends
// a server knows how.
func (p *process) reap() {
	_ = p.running.Wait()
	_ = p.life.Close()
	p.running = nil
}

// remove lets the watchdog do what it does when the test process is gone, and waits for it.
func (p *process) remove() error {
	err := errors.Join(p.watch.Close(), p.watchdog.Wait(), p.port.release())
	if p.running != nil {
		p.reap()
	}
	return err
}

func (p *process) log() string { return filepath.Join(p.folder, "log") }
