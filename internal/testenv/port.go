package testenv

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

// A port is a loopback TCP port of the kernel's choice, kept for a server that comes and goes.
//
// The socket is bound but never listens: connections are refused while no server is there, and the kernel gives the
// port to nobody else. Without it a client that reconnects in a loop soon gets the very port it dials as its own,
// connects to itself, and the server cannot come back.
type port struct {
	number int
	socket int // -1 when released
}

// reservePort binds a port. Programs that set SO_REUSEADDR can listen on it (PostgreSQL, Redis and Go do), on Linux;
// elsewhere a port that is bound cannot be shared, and is only chosen.
func reservePort() (*port, error) {
	syscall.ForkLock.RLock()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	p := &port{socket: socket}
	if p.number, err = bindLoopback(socket); err != nil {
		return nil, errors.Join(fmt.Errorf("reserve a port: %w", err), p.release())
	}
	if runtime.GOOS != "linux" {
		err = p.release()
	}
	return p, err
}

func bindLoopback(socket int) (int, error) {
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		return 0, err
	}
	return bound.(*syscall.SockaddrInet4).Port, nil
}

func (p *port) addr() string { return fmt.Sprintf("127.0.0.1:%d", p.number) }

func (p *port) release() error {
	if p.socket < 0 {
		return nil
	}
	socket := p.socket
	p.socket = -1
	if err := syscall.Close(socket); err != nil {
		return fmt.Errorf("release port %d: %w", p.number, err)
	}
	return nil
}
