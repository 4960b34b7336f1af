package ratelimit

import "github.com/viva/rate-limiter/pkg/ratelimit/internal/counter"

// blocks hold what does not fit into an entry: logs, and kept decisions.
type blocks struct {
	logs pool[counter.Log]
	kept pool[kept]
}

// A blockID names a block. The zero blockID names none, an even one a log.
type blockID uint32

func (b *blocks) newLog() (blockID, *counter.Log) {
	i, l := b.logs.take()
	return blockID(i+1) << 1, l
}

func (b *blocks) newKept() (blockID, *kept) {
	i, k := b.kept.take()
	return blockID(i+1)<<1 | 1, k
}

func (b *blocks) log(id blockID) *counter.Log { return b.logs.all[id>>1-1] }
func (b *blocks) keptOf(id blockID) *kept     { return b.kept.all[id>>1-1] }

// free gives the block back, if the id names one.
func (b *blocks) free(id blockID) {
	switch {
	case id == 0:
	case id&1 == 0:
		*b.log(id) = counter.Log{}
		b.logs.free = append(b.logs.free, uint32(id>>1-1))
	default:
		b.kept.free = append(b.kept.free, uint32(id>>1-1))
	}
}

// weight returns how many entries the block takes the room of, beside its own.
func (b *blocks) weight(id blockID) int64 {
	if id == 0 || id&1 != 0 {
		return 0
	}
	return entriesOf(b.log(id).Room())
}

// entriesOf returns how many entries are as large as so many marks of a log.
func entriesOf(marks int) int64 { return int64(marks+2) / 3 }

// A pool is values known by number, which are used again.
type pool[T any] struct {
	all  []*T
	free []uint32
}

func (p *pool[T]) take() (uint32, *T) {
	if last := len(p.free) - 1; last >= 0 {
		i := p.free[last]
		p.free = p.free[:last]
		return i, p.all[i]
	}
	p.all = append(p.all, new(T))
	return uint32(len(p.all) - 1), p.all[len(p.all)-1]
}
