package cache

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// contents lists the entries, and fails where the parts of a table disagree.
func contents[V any](t require.TestingT, table *table[V]) map[apikey.Hash]*entry[V] {
	all := make(map[apikey.Hash]*entry[V])
	for i := range table.shards {
		s := &table.shards[i]
		require.Len(t, s.ring, len(s.byHash))
		for slot, e := range s.ring {
			require.Equal(t, slot, e.slot)
			require.Same(t, e, s.byHash[e.hash])
			all[e.hash] = e
		}
	}
	return all
}

func TestTableHoldsWhatWasPutLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(1, 3*minShard).Draw(t, "bound")
		table := newTable[int](bound)
		model := make(map[apikey.Hash]*entry[int])
		hash := rapid.Custom(func(t *rapid.T) apikey.Hash { return hashOf(rapid.IntRange(0, 2*bound).Draw(t, "key")) })
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := &entry[int]{hash: hash.Draw(t, "hash")}
				displaced := table.put(e)
				if displaced != nil {
					require.Same(t, model[displaced.hash], displaced)
					delete(model, displaced.hash)
				}
				require.NotContains(t, model, e.hash)
				model[e.hash] = e
			},
			"remove": func(t *rapid.T) {
				hash := hash.Draw(t, "hash")
				require.Equal(t, model[hash], table.remove(&hash))
				delete(model, hash)
			},
			"find": func(t *rapid.T) {
				hash := hash.Draw(t, "hash")
				require.Equal(t, model[hash], table.find(&hash))
			},
			"": func(t *rapid.T) {
				require.LessOrEqual(t, len(model), bound)
				require.Equal(t, model, contents(t, table))
			},
		})
	})
}

func TestTableIsNearlyFullBeforeItDisplaces(t *testing.T) {
	const bound = 100_000
	table := newTable[int](bound)
	for i := range bound {
		table.put(&entry[int]{hash: hashOf(i)})
	}
	require.InDelta(t, bound, len(contents(t, table)), bound/50)
	for i := range 3 * bound {
		table.put(&entry[int]{hash: hashOf(i)})
	}
	require.LessOrEqual(t, len(contents(t, table)), bound)
	require.InDelta(t, bound, len(contents(t, table)), bound/1000)
}

func TestTableKeepsWhatIsUsed(t *testing.T) {
	table := newTable[int](100)
	used := hashOf(0)
	table.put(&entry[int]{hash: used})
	for i := range 10_000 {
		require.NotNil(t, table.find(&used))
		table.put(&entry[int]{hash: hashOf(1 + i)})
	}
}
