package ratelimit

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAnEntryTakesFortyEightBytes(t *testing.T) {
	require.Equal(t, uintptr(48), unsafe.Sizeof(entry{}))
}

func TestWhatALookUpNeedsIsInOneCacheLine(t *testing.T) {
	var m Memory
	var s shard
	require.Zero(t, unsafe.Offsetof(m.shards)%64)
	require.Zero(t, unsafe.Sizeof(s)%64)
	require.LessOrEqual(t, unsafe.Offsetof(s.table)+unsafe.Offsetof(s.table.more), uintptr(64))
}

// anID returns one of few ids, many of which have the same home.
func anID(rt *rapid.T) entryID {
	home := rapid.SampledFrom([]uint64{0, 1, 1 << 31, 1<<32 - 1}).Draw(rt, "home")
	low := rapid.Uint64Range(0, 15).Draw(rt, "low")
	return entryID{home<<32 | low<<1 | 1, rapid.Uint64Range(0, 3).Draw(rt, "second")}
}

func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var table table
		want := map[entryID]int64{}
		for range rapid.IntRange(1, 300).Draw(rt, "steps") {
			id := anID(rt)
			found := table.find(&id)
			value, there := want[id]
			require.Equal(rt, there, found != nil)
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				if there {
					require.Equal(rt, value, found.a)
				} else {
					table.room(1)
					want[id] = rapid.Int64().Draw(rt, "value")
					table.insert(&id).a = want[id]
				}
			case 2:
				if there {
					table.remove(&id)
					delete(want, id)
				}
			case 3:
				table.move(rapid.IntRange(0, 8).Draw(rt, "places"))
			}
			require.Equal(rt, len(want), table.size)
		}
		for id, value := range want {
			require.NotNil(rt, table.find(&id))
			require.Equal(rt, value, table.find(&id).a)
		}
	})
}

// fill adds n entries with random ids the way takes do, and returns the ids.
func fill(table *table, n int) []entryID {
	random := rand.New(rand.NewPCG(1, 2))
	ids := make([]entryID, n)
	for i := range ids {
		ids[i] = entryID{random.Uint64() | 1, random.Uint64()}
		table.move(movePlaces)
		table.room(2)
		table.insert(&ids[i])
	}
	return ids
}

func (p *places) allocated() (n int) {
	for i := range uint32(len(p.more) + 1) {
		if segment := *p.segment(i); len(segment) > 0 && &segment[0] != &emptySegment[0] {
			n += len(segment)
		}
	}
	return n
}

func TestTableGrowsInStepsAndStaysDense(t *testing.T) {
	var table table
	random := rand.New(rand.NewPCG(1, 2))
	const n = 100_000
	var settled int
	for i := range n {
		id := entryID{random.Uint64() | 1, random.Uint64()}
		left := table.left
		table.move(movePlaces)
		require.LessOrEqual(t, left-table.left, uint32(movePlaces+200), "one step moves few places")
		table.room(2)
		table.insert(&id)
		if i > 1000 && table.left == 0 {
			require.LessOrEqual(t, table.allocated()*48, 96*table.size, "at %d", i)
			settled++
		}
	}
	require.Greater(t, settled, n*9/10, "moving is soon done")
}

func TestTableShrinks(t *testing.T) {
	var table table
	ids := fill(&table, 50_000)
	for i := range ids[100:] {
		table.remove(&ids[100+i])
		table.move(movePlaces)
		table.room(1)
	}
	table.move(int(table.left))
	require.Less(t, table.n, uint32(1000))
	for i := range ids[:100] {
		require.NotNil(t, table.find(&ids[i]))
	}
}
