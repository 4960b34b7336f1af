package client_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/client"
)

func TestAnExportThatIsCutOffIsToldFromAWholeOne(t *testing.T) {
	const whole = `{"kind":"key","id":"k","name":"a name that is longer than the longest line that could be the end"}` + "\n" +
		`{"kind":"usage_logs"}` + "\n" + `{"kind":"end","lines":2}` + "\n"
	body := whole
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "application/x-ndjson", r.Header.Get("Accept"))
		assert.Equal(t, "/api/v1/keys/k/export", r.URL.Path)
		_, err := io.WriteString(w, body)
		assert.NoError(t, err)
	})
	read := func() ([]byte, error) {
		lines, err := c.ExportKey(t.Context(), "k")
		require.NoError(t, err)
		defer lines.Close()
		text, err := io.ReadAll(iotest.OneByteReader(lines))
		return text, err
	}
	text, err := read()
	require.NoError(t, err)
	require.Equal(t, strings.Split(whole, "\n"), strings.Split(string(text), "\n"))
	for name, cut := range map[string]string{
		"empty": "", "one line": whole[:strings.Index(whole, "\n")+1], "in the middle": whole[:len(whole)/2],
		"without its last character": whole[:len(whole)-1], "with a line less": strings.Replace(whole, `{"kind":"usage_logs"}`+"\n", "", 1),
		"with more behind it": whole + "{}\n", "with a piece behind it": whole + "{",
	} {
		body = cut
		text, err = read()
		require.ErrorIs(t, err, client.ErrCutOff, name)
		require.Equal(t, []byte(cut), text)
	}
}

func TestExportsAndErasuresThatAreRefused(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.True(t, strings.HasPrefix(r.URL.EscapedPath(), "/api/v1/owners/a%2Fb/"), r.URL.EscapedPath())
		assert.NoError(t, apierror.NotFound("owner").Write(w, "r1"))
	})
	_, err := c.ExportOwner(t.Context(), "a/b")
	require.ErrorIs(t, err, apierror.CodeNotFound)
	_, err = c.EraseOwnerData(t.Context(), "a/b")
	require.ErrorIs(t, err, apierror.CodeNotFound)
	_, err = c.ExportKey(t.Context(), "..")
	require.ErrorIs(t, err, apierror.CodeNotFound, "nothing is sent")
}

func TestErasuresAreCounted(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "POST /api/v1/keys/k/erase-personal-data", r.Method+" "+r.URL.Path)
		_, err := io.WriteString(w, `{"logs":3,"violations":2,"audit_logs":1}`)
		assert.NoError(t, err)
	})
	n, err := c.EraseKeyData(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, &client.Erased{Logs: 3, Violations: 2, AuditLogs: 1}, n)
}
