package journal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFaultOfAMappedFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "segment")
	f, err := createFile(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	require.NoError(t, f.Allocate(1<<16))
	require.NotNil(t, f.(*diskFile).mapped, "room is allocated on this machine's file system")
	_, err = f.WriteAt([]byte("here"), 8192)
	require.NoError(t, err)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "here", string(written[8192:8196]))

	require.NoError(t, os.Truncate(path, 0)) // what is mapped is not there any more
	_, err = f.WriteAt([]byte("gone"), 8192)
	require.ErrorIs(t, err, syscall.EIO)
	require.NoError(t, f.Truncate(0))
	_, err = f.WriteAt([]byte("anew"), 0)
	require.NoError(t, err, "by a system call")
}
