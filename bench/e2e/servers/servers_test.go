package servers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCPUTimeIsReadWhateverTheProgramIsCalled(t *testing.T) {
	spent, err := parseStat([]byte("42 (a (strange) name) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 5 0 12345 1000 200\n"))
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, spent)
	_, err = parseStat([]byte("42 (name) S 1"))
	require.Error(t, err)
}

func TestWhatTheMachineDoesIsAllButIdling(t *testing.T) {
	busy, err := parseBusy([]byte("cpu  100 20 30 9999 888 4 6 40 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n"))
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, busy)
	_, err = parseBusy([]byte("intr 1 2 3"))
	require.Error(t, err)
}

func TestProcessesStartAndStop(t *testing.T) {
	p, err := Redis(t.Context(), "redis", t.TempDir())
	require.NoError(t, err)
	resident, err := p.Resident()
	require.NoError(t, err)
	require.Positive(t, resident)
	files, err := p.Files()
	require.NoError(t, err)
	require.Positive(t, files)
	_, err = p.CPU()
	require.NoError(t, err)
	require.NoError(t, p.Stop())
	_, err = p.CPU()
	require.Error(t, err, "it is gone")
}

func TestWhatDoesNotServeIsSaid(t *testing.T) {
	_, err := Redis(t.Context(), "redis", t.TempDir(), "--no-such-setting", "1")
	require.ErrorContains(t, err, "redis does not serve: it ended")
	require.ErrorContains(t, err, "no-such-setting", "with what it said")
}
