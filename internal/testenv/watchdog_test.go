package testenv

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// childURLs names the file into which a child test process writes where its servers listen.
const childURLs = "TESTENV_CHILD_URLS"

// TestChild is the child's part of the test below: it has servers and waits for its end.
func TestChild(t *testing.T) {
	file := os.Getenv(childURLs)
	if file == "" {
		return
	}
	urls := fmt.Sprintln(Postgres(t)) + fmt.Sprintln(Redis(t)) + fmt.Sprintln(PostgresServer(t).URL())
	require.NoError(t, os.WriteFile(file+".part", []byte(urls), 0o600))
	require.NoError(t, os.Rename(file+".part", file))
	_, err := os.Stdin.Read(make([]byte, 1)) // until the parent says so
	require.Error(t, err)
}

func TestServersGoWithTheTestProcessHoweverItEnds(t *testing.T) {
	ends := map[string]func(t *testing.T, child *exec.Cmd, stdin *os.File){
		"returns": func(t *testing.T, child *exec.Cmd, stdin *os.File) {
			require.NoError(t, stdin.Close())
			require.NoError(t, child.Wait())
		},
		"is killed": func(t *testing.T, child *exec.Cmd, stdin *os.File) {
			defer stdin.Close()
			require.NoError(t, child.Process.Kill())
			require.Error(t, child.Wait())
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			temporary := sharedFolder(t)
			file := filepath.Join(t.TempDir(), "urls")
			child := exec.Command(os.Args[0], "-test.run=^TestChild$")
			child.Env = append(os.Environ(), childURLs+"="+file, "TMPDIR="+temporary)
			read, write, err := os.Pipe()
			require.NoError(t, err)
			child.Stdin = read
			require.NoError(t, child.Start())
			require.NoError(t, read.Close())

			var urls []byte
			require.Eventually(t, func() bool {
				urls, err = os.ReadFile(file)
				return err == nil
			}, readyWithin, 10*time.Millisecond)
			folders, err := os.ReadDir(temporary)
			require.NoError(t, err)
			require.Len(t, folders, 3)

			end(t, child, write)
			for line := range strings.Lines(string(urls)) {
				require.Eventually(t, func() bool { return refuses(line) }, readyWithin, 10*time.Millisecond)
			}
			require.Eventually(t, func() bool {
				folders, err := os.ReadDir(temporary)
				return err == nil && len(folders) == 0
			}, readyWithin, 10*time.Millisecond)
		})
	}
}

// sharedFolder is a temporary folder that PostgreSQL's user may enter.
func sharedFolder(t *testing.T) string {
	folder, err := os.MkdirTemp("", "viva-test-watchdog-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o755))
	return folder
}

func refuses(line string) bool {
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		return false
	}
	conn, err := net.Dial("tcp", u.Host)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}
