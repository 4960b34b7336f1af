package testenv

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// heard is what comes back of the word within the time, and the error that ended it.
func heard(t *testing.T, conn net.Conn, word string, within time.Duration) (string, error) {
	require.NoError(t, conn.SetDeadline(time.Now().Add(within)))
	_, err := io.WriteString(conn, word)
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func TestProxyStrikesEveryNthParcel(t *testing.T) {
	for fault, want := range map[Fault]string{LoseRequest: "", CutRequest: "sec", LoseReply: "", CutReply: "sec"} {
		proxy := StartProxy(t, echo(t))
		proxy.Strike(fault, 2)
		conn := dial(t, proxy.Addr())
		require.NoError(t, says(conn, "first", time.Minute), fault)
		require.Zero(t, proxy.Struck())
		answer, err := heard(t, conn, "second", time.Minute)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, fault)
		if fault != CutRequest { // half of it may come back before the connection ends, or not
			require.Equal(t, want, answer, fault)
		}
		require.Equal(t, 1, proxy.Struck())
		require.NoError(t, says(dial(t, proxy.Addr()), "third", time.Minute), fault)
		proxy.Restore()
		for range 4 {
			require.NoError(t, says(dial(t, proxy.Addr()), "more", time.Minute), fault)
		}
		require.Zero(t, proxy.Struck())
	}
}

func TestProxyStrikesWhatItIsToldAbout(t *testing.T) {
	for _, fault := range []Fault{LoseRequest, LoseReply} {
		proxy := StartProxy(t, echo(t))
		proxy.StrikeAbout("commit", fault, 2)
		conn := dial(t, proxy.Addr())
		for _, word := range []string{"begin", "commit", "begin", "insert"} { // the first of two goes through
			require.NoError(t, says(conn, word, time.Minute), fault)
		}
		require.Zero(t, proxy.Struck())
		answer, err := heard(t, conn, "now commit", time.Minute)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, fault)
		require.Empty(t, answer)
		require.Equal(t, 1, proxy.Struck())
		require.NoError(t, says(dial(t, proxy.Addr()), "begin", time.Minute), fault)
	}
}

func TestProxyHoldsRepliesUntilRestored(t *testing.T) {
	proxy := StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	proxy.Strike(HoldReply, 2)
	require.NoError(t, says(conn, "first", time.Minute))
	for range 2 { // the second is struck, and all that follow on the connection are held too
		require.ErrorIs(t, says(conn, "held", 50*time.Millisecond), os.ErrDeadlineExceeded)
	}
	require.Equal(t, 1, proxy.Struck())
	require.NoError(t, says(dial(t, proxy.Addr()), "another", time.Minute))

	proxy.Restore()
	err := says(conn, "holes", time.Minute)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

// The server must see what came before a cut: that is what tells it from a lost request.
func TestProxyCutLetsTheServerHaveTheFirstHalf(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	proxy := StartProxy(t, listener.Addr().String())
	proxy.Strike(CutRequest, 1)
	_, err = io.WriteString(dial(t, proxy.Addr()), "abcdef")
	require.NoError(t, err)
	conn, err := listener.Accept()
	require.NoError(t, err)
	defer conn.Close()
	received, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "abc", string(received))
}
