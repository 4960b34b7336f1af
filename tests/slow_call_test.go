//go:build journeys

package tests

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A slowCall is a check whose last byte its client keeps back.
type slowCall struct {
	t      *testing.T
	conn   net.Conn
	reader *bufio.Reader
	last   string
}

// beginSlowly sends a check but for its last byte. When it returns, the process has begun to read it: it has answered
// that it wants the body.
func beginSlowly(t *testing.T, node *client, body string) *slowCall {
	t.Helper()
	host := strings.TrimPrefix(node.url, "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /api/v1/validate HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", host, node.token, len(body))
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	for _, line := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		got, err := reader.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, line, got)
	}
	_, err = conn.Write([]byte(body[:len(body)-1]))
	require.NoError(t, err)
	return &slowCall{t, conn, reader, body[len(body)-1:]}
}

// finish sends the last byte, and reads the answer and whether it is the last on this connection.
func (c *slowCall) finish() (status int, last bool) {
	c.t.Helper()
	_, err := c.conn.Write([]byte(c.last))
	require.NoError(c.t, err)
	got, err := http.ReadResponse(c.reader, nil)
	require.NoError(c.t, err)
	defer got.Body.Close()
	_, err = io.Copy(io.Discard, got.Body)
	require.NoError(c.t, err)
	return got.StatusCode, got.Close
}

// refusesConnections tells whether nobody listens there.
func refusesConnections(url string) error {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil:
		return err
	default:
		return errors.Join(errors.New("it still listens"), conn.Close())
	}
}
