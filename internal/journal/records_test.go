package journal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/journal"
	"github.com/viva/rate-limiter/internal/models"
)

func TestRecordsAreReadBesideTheirWriter(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for range 2 {
		j, err := journal.Open(journal.Options{Dir: dir, SegmentBytes: 1 << 10})
		require.NoError(t, err)
		defer j.Close()
		for i := range 100 {
			payload := fmt.Sprintf("record %d", i)
			require.NoError(t, j.Append([]byte(payload)))
			want = append(want, fmt.Sprint(j.Stream(), i+1, payload))
		}
		var got []string
		require.NoError(t, journal.Records(dir, func(stream models.StreamID, e journal.Entry) error {
			got = append(got, fmt.Sprint(stream, e.Seq, string(e.Payload)))
			return nil
		}))
		require.Equal(t, want, got)
		require.NoError(t, j.Close())
	}
	enough := errors.New("enough")
	require.ErrorIs(t, journal.Records(dir, func(models.StreamID, journal.Entry) error { return enough }), enough)
	require.Error(t, journal.Records(dir+"/none", nil))
}
