package redisstore

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func requestOf(rules ...ratelimit.Rule) *ratelimit.Request {
	return &ratelimit.Request{Group: "g", Cost: 1, Rules: rules}
}

var perMinute = ratelimit.Rule{Scope: "key", ID: "\xff", Name: "per-minute", Limit: 10, Window: time.Minute}

func reply(kind byte, sealed []byte, numbers ...float64) string {
	b := []byte{kind}
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(n))
	}
	return string(append(b, sealed...))
}

func FuzzRepliesAreUnderstoodOrRefused(f *testing.F) {
	sealed, err := seal(requestOf(perMinute), 7)
	require.NoError(f, err)
	broken := perMinute
	broken.Window = 0
	invalid, err := seal(requestOf(broken), 7)
	require.NoError(f, err)
	for _, r := range []string{
		"", "?", "C", "O", reply('O', nil, 0), reply('F', nil),
		"U", reply('U', nil, 0, 5e6), reply('U', nil, 0), reply('U', nil, 1, 5e6), reply('U', nil, math.NaN(), -1),
		reply('F', nil, 5e6, 1, 1, 1, 5e6, 0, 0, 1),
		reply('F', nil, 5e6, 0, 1, 0, 5e6, 0, 0, 1), // does not fit, and would
		reply('F', nil, 5e6, 1, 2, 1, 5e6, 0, 0, 1, 1, 5e6, 0, 0, 1),
		reply('F', nil, 5e6, 1, math.NaN()), reply('F', nil, 5e6, 1, -1), reply('F', nil, 5e6, 1, 1e300),
		reply('R', sealed, 5e6, 1, 1, 1, 5e6, 0, 0, 1),
		reply('R', sealed, 5e6, 1, 0),
		reply('R', invalid, 5e6, 1, 1, 1, 5e6, 0, 0, 1),
		reply('R', []byte("{}"), 5e6, 1, 0), reply('R', []byte("{"), 5e6, 1, 0),
	} {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		var dec ratelimit.Decision
		if read(reply, requestOf(perMinute), 7, &dec) != nil {
			return
		}
		for _, result := range dec.Results {
			require.NotNil(t, result.Rule)
		}
		require.Contains(t, "FR", reply[:1])
		require.Equal(t, reply[0] == 'R', dec.Replayed)
	})
}

func TestWhatIsSealedIsUnsealed(t *testing.T) {
	period := func(hour int) ratelimit.Period {
		return ratelimit.Period{Start: time.Unix(int64(hour)*3600, 0).UTC(), End: time.Unix(int64(hour+1)*3600, 0).UTC()}
	}
	quota := ratelimit.Rule{
		Scope: "\x00", ID: "\xff\xfe", Name: `"<`, Algorithm: ratelimit.FixedWindow, Limit: ratelimit.MaxFixedLimit, Shadow: true,
		Durable: true, Calendar: &ratelimit.Calendar{Name: "\x80", Previous: period(0), Current: period(1), Next: period(2)},
	}
	req := requestOf(perMinute, quota)
	req.Cost = ratelimit.MaxCost
	sealed, err := seal(req, math.MaxUint64)
	require.NoError(t, err)
	opened, err := unseal(string(sealed))
	require.NoError(t, err)
	require.Equal(t, req.Rules, opened.rules)
	require.Equal(t, req.Cost, opened.Cost)
	require.Equal(t, uint64(math.MaxUint64), opened.Nonce)
	require.Equal(t, "\x80", quota.Calendar.Name, "the caller's calendar is untouched")
}

func TestRepliesThatAreNotUnderstoodAreUnavailable(t *testing.T) {
	var dec ratelimit.Decision
	for _, r := range []string{
		"", "?", "U", reply('U', nil, 1, 5e6), reply('U', nil, -1, 5e6), reply('F', nil), reply('F', nil, 5e6, 1, 1),
		reply('F', nil, 5e6, 0, 1, 0, 5e6, 0, 0, 1), reply('R', []byte("{"), 5e6, 1, 0),
	} {
		require.ErrorIs(t, read(r, requestOf(perMinute), 7, &dec), ratelimit.ErrUnavailable)
	}
}
