package testenv

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// echo answers every connection with what it sends.
func echo(t *testing.T) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var owned sync.WaitGroup
	owned.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			owned.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // ends with the connection
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		owned.Wait()
	})
	return listener.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// says sends the word and waits as long as told for it to come back.
func says(conn net.Conn, word string, within time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, word); err != nil {
		return err
	}
	answer := make([]byte, len(word))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != word {
		return errors.New("the answer is " + string(answer))
	}
	return nil
}

func TestProxyIsFaithfulUntilTold(t *testing.T) {
	conn := dial(t, StartProxy(t, echo(t)).Addr())
	require.NoError(t, says(conn, "hello", time.Minute))
	require.NoError(t, says(conn, string(make([]byte, 1<<20)), time.Minute))
}

func TestProxyTakesTheServersPlaceInAURL(t *testing.T) {
	proxy := StartProxy(t, "redis://user:secret@"+echo(t)+"/3")
	require.Equal(t, "redis://user:secret@"+proxy.Addr()+"/3", proxy.URL())
	require.NoError(t, says(dial(t, proxy.Addr()), "hello", time.Minute))
}

func TestProxyCutDropsAndRefusesUntilRestored(t *testing.T) {
	proxy := StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	require.NoError(t, says(conn, "before", time.Minute))

	proxy.Cut()
	err := says(conn, "during", time.Minute)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = net.Dial("tcp", proxy.Addr())
	require.ErrorIs(t, err, unix.ECONNREFUSED)

	proxy.Restore()
	require.NoError(t, says(dial(t, proxy.Addr()), "after", time.Minute))
}

func TestProxyBlackholeSwallowsUntilRestored(t *testing.T) {
	proxy := StartProxy(t, echo(t))
	made := dial(t, proxy.Addr())
	require.NoError(t, says(made, "before", time.Minute))

	proxy.Blackhole()
	fresh := dial(t, proxy.Addr())
	for _, conn := range []net.Conn{made, fresh} {
		require.ErrorIs(t, says(conn, "during", 50*time.Millisecond), os.ErrDeadlineExceeded)
	}

	proxy.Restore()
	for _, conn := range []net.Conn{made, fresh} {
		err := says(conn, "holes", time.Minute)
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	require.NoError(t, says(dial(t, proxy.Addr()), "after", time.Minute))
}

func TestProxyDelaysEachDirection(t *testing.T) {
	const delay = 60 * time.Millisecond
	proxy := StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())

	proxy.Delay(delay)
	begun := time.Now()
	require.NoError(t, says(conn, "slow", time.Minute))
	require.GreaterOrEqual(t, time.Since(begun), 2*delay)

	proxy.Restore()
	require.NoError(t, says(conn, "fast", time.Minute), "a delayed connection is whole and goes on")
}

func TestProxyDelayDoesNotAddUp(t *testing.T) {
	const delay, parcels = 50 * time.Millisecond, 40
	proxy := StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	proxy.Delay(delay)
	begun := time.Now()
	for range parcels { // each its own segment, as TCP_NODELAY is Go's default
		_, err := io.WriteString(conn, "x")
		require.NoError(t, err)
	}
	_, err := io.ReadFull(conn, make([]byte, parcels))
	require.NoError(t, err)
	require.Less(t, time.Since(begun), parcels*delay)
}

func TestReservedPortRefusesAndIsGivenToNobodyElse(t *testing.T) {
	port, err := reservePort()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, port.release()) })
	_, err = net.Dial("tcp", port.addr())
	require.ErrorIs(t, err, unix.ECONNREFUSED)

	// A dialer that got the port it dials as its own would be connected to itself.
	itself := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port.number}}
	_, err = itself.Dial("tcp", port.addr())
	require.ErrorIs(t, err, unix.EADDRINUSE)

	for range 2 { // its own server comes and goes
		listener, err := net.Listen("tcp", port.addr())
		require.NoError(t, err)
		dial(t, port.addr())
		require.NoError(t, listener.Close())
	}
}
