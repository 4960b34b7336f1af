package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressIsToldOnceASecondWithWhatIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.csv")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("x"), 1000), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	now := time.Unix(0, 0)
	var out strings.Builder
	p := newImportProgress(&out, file, func() time.Time { return now })
	_, err = io.ReadFull(p, make([]byte, 500)) // half of the file, with a hundred rows
	require.NoError(t, err)
	for range 100 {
		p.add()
	}

	now = now.Add(900 * time.Millisecond)
	p.count(imported{Imported: 10}, nil)
	require.Empty(t, out.String())
	now = now.Add(1100 * time.Millisecond)
	p.count(imported{Imported: 30, Existing: 10}, nil)
	require.Equal(t, "40 keys imported, 10 there already; 25 a second; 25 % done, 6s left\n", out.String())
	p.count(imported{Imported: 1}, nil)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))

	require.False(t, p.failed())
	p.count(imported{}, errors.New("refused"))
	require.True(t, p.failed())
	require.Equal(t, imported{Imported: 41, Existing: 10}, p.done)
}

func TestProgressOfAPipeTellsNoEnd(t *testing.T) {
	now := time.Unix(0, 0)
	var out strings.Builder
	p := newImportProgress(&out, strings.NewReader("x"), func() time.Time { return now })
	now = now.Add(2 * time.Second)
	p.count(imported{Imported: 1000}, nil)
	require.Equal(t, "1000 keys imported; 500 a second\n", out.String())
}
