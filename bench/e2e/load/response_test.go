package load

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResponsesAreParsedFromWhateverHasCome(t *testing.T) {
	for name, text := range map[string]string{
		"a length":                  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"chunks":                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1F;x=y\r\n" + strings.Repeat("-", 31) + "\r\n0\r\nTrailer: x\r\n\r\n",
		"no body":                   "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n",
		"lower case, and no reason": "HTTP/1.1 200 \r\ncontent-length:0\r\nconnection: keep-alive\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(text) {
				_, whole, err := parse([]byte(text[:n]))
				require.NoError(t, err, "%q", text[:n])
				require.False(t, whole, "%q", text[:n])
			}
			r, whole, err := parse([]byte(text))
			require.NoError(t, err)
			require.True(t, whole)
			require.Equal(t, len(text), r.size)
			require.Equal(t, strings.Index(text, "\r\n\r\n")+4, r.head)

			more, whole, err := parse([]byte(text + "HTTP/1.1 500"))
			require.NoError(t, err)
			require.True(t, whole)
			require.Equal(t, r, more, "what follows is not of it")
		})
	}
	r, _, err := parse([]byte("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"))
	require.NoError(t, err)
	require.Equal(t, 429, r.status)
}

func TestWhatIsNoResponseIsRefused(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.0 200 OK\r\n\r\n",
		"SSH-2.0-OpenSSH\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nuntil the connection ends",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 12345678901234567890\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	} {
		_, _, err := parse([]byte(text))
		require.Error(t, err, text)
	}
}

func TestTemplatesHaveRoomForKeys(t *testing.T) {
	template := Post("/path", `{"a":"{key}","b":"{key}"}`, 3, "X-A: 1")
	require.Equal(t, 2, template.Keys())
	keys := &Keys{Text: []byte("onetwothr"), Width: 3}
	require.Equal(t, 3, keys.Len())
	next := 0
	wire := append([]byte{}, template.wire...)
	template.fill(wire, func() []byte { next++; return keys.At(next) })
	require.Equal(t, "POST /path HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 21\r\nX-A: 1\r\n\r\n"+
		`{"a":"two","b":"thr"}`, string(wire))
}
