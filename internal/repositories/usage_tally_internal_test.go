package repositories

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/viva/rate-limiter/internal/models"
)

// drawMembers draws members in the order of their names.
func drawMembers(t *rapid.T) []member {
	names := rapid.SliceOfNDistinct(rapid.StringN(0, 300, 600), 0, 20, rapid.ID[string]).Draw(t, "names")
	slices.Sort(names)
	most := rapid.SampledFrom([]int64{0, 1 << 14, 1 << 15, 1 << 31, 1 << 62}).Draw(t, "most")
	list := make([]member, len(names))
	for i, name := range names {
		list[i].name = name
		for _, count := range countColumns {
			*count.of(&list[i].UsageCounts) = rapid.Int64Range(-most, most).Draw(t, "count")
		}
	}
	return list
}

func TestTalliesHoldWhatWasPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawMembers(t)
		opened, err := openTally(packTally(list))
		require.NoError(t, err)
		parts, got := []*tallyCursor{newTallyCursor(opened, 1)}, []member{}
		eachMember(parts, func(name string, at []int) { got = append(got, member{name, countsAt(parts, at)}) })
		require.Equal(t, list, got)
	})
}

func TestTheLargestOfTalliesAreThoseOfTheirSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []*tallyCursor
		sums := map[string]*models.UsageCounts{}
		for range rapid.IntRange(1, 4).Draw(t, "tallies") {
			list, sign := drawMembers(t), rapid.SampledFrom([]int64{1, -1}).Draw(t, "sign")
			opened, err := openTally(packTally(list))
			require.NoError(t, err)
			parts = append(parts, newTallyCursor(opened, sign))
			for i := range list {
				if sums[list[i].name] == nil {
					sums[list[i].name] = &models.UsageCounts{}
				}
				for _, count := range countColumns {
					*count.of(sums[list[i].name]) += sign * *count.of(&list[i].UsageCounts)
				}
			}
		}
		var want []ranked
		for name, counts := range sums {
			if counts.Units != 0 || counts.Requests != 0 || counts.Reports != 0 {
				want = append(want, ranked{member: member{name, *counts}})
			}
		}
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		want = largestOf(want, limit)
		got := rank(parts, limit)
		require.Len(t, got, len(want))
		for i := range got {
			require.Equal(t, want[i].member, got[i].member)
		}
	})
}

func TestDamagedTalliesAreRefused(t *testing.T) {
	whole := packTally([]member{{name: "a", UsageCounts: models.UsageCounts{Units: 1 << 40}}, {name: "b"}})
	for n := range whole {
		_, err := openTally(whole[:n])
		require.ErrorIs(t, err, errTally, n)
	}
}

func TestTalliesInMemoryAreBounded(t *testing.T) {
	var cache tallyCache
	name := func(n int64) tallyName { return tallyName{changes: n} }
	for n := range int64(10) {
		cache.put(name(n), &tally{bytes: tallyCacheBytes / 3})
		require.NotNil(t, cache.get(name(0)), "what is asked for stays")
	}
	require.NotNil(t, cache.get(name(9)))
	require.Nil(t, cache.get(name(1)))
	require.LessOrEqual(t, len(cache.young)+len(cache.old), 6)
	require.Nil(t, (*tallyCache)(nil).get(name(0)))
}
