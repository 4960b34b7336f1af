package journal_test

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
)

// What a process had from the journal before it was killed is in it.
func TestKilled(t *testing.T) {
	for _, fsync := range modes {
		t.Run(string(fsync), func(t *testing.T) {
			for range 5 {
				dir := t.TempDir()
				printed := killed(t, dir, fsync, 1+rand.IntN(600))
				found := everything(t, dir)
				for i := 1; i < len(found); i++ {
					require.Less(t, found[i-1], found[i], "no record twice")
				}
				for _, number := range printed {
					_, ok := slices.BinarySearch(found, number)
					require.True(t, ok, "record %d is lost", number)
				}
				// The folder can be used again.
				again := open(t, journal.Options{Dir: dir})
				again.Done(again.Stream(), 0)
				closed(t, again)
				require.Equal(t, found, everything(t, dir))
				unused, err := filepath.Glob(filepath.Join(dir, "*.next"))
				require.NoError(t, err)
				require.Empty(t, unused)
			}
		})
	}
}

// Of a group that was being written when its process was killed, the records
// found are those before the ones that are not.
func TestKilledInAGroup(t *testing.T) {
	for range 30 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "JOURNAL_CHILD="+dir, "JOURNAL_GROUPS=yes")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		require.True(t, bufio.NewScanner(out).Scan())
		<-time.After(rand.N(5 * time.Millisecond))
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		j := open(t, journal.Options{Dir: dir})
		for i, seq := range seqsOf(all(t, j, j.Streams()[0].ID, 0)) {
			require.EqualValues(t, i+1, seq)
		}
		closed(t, j)
	}
}

// killed runs a child until it has printed so many numbers, kills it, and
// returns all that it printed.
func killed(t *testing.T, dir string, fsync journal.Fsync, after int) []uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_CHILD="+dir, "JOURNAL_FSYNC="+string(fsync))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var printed []uint64
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		number, err := strconv.ParseUint(lines.Text(), 10, 64)
		require.NoError(t, err, lines.Text())
		if printed = append(printed, number); len(printed) == after {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.Error(t, cmd.Wait())
	require.GreaterOrEqual(t, len(printed), after)
	return printed
}
