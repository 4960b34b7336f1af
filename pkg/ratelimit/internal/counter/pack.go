package counter

// Pack returns the state in three words, for a store that keeps many. Unpack
// with the same rule, whatever its limit is then, gives the state again.
func (r *Rule) Pack(s *State) (a, b, c int64) {
	switch r.Kind {
	case Calendar:
		return s.Last, s.Start, s.Cur
	case GCRA: // the level in units of 1/Window: below 2^64, as no burst is above 2^32 nor a window above 2^32 ticks
		return s.Last, s.Start, int64(uint64(s.Cur)*uint64(r.Window) + uint64(s.Prev))
	default: // the start follows from the rest
		return s.Last, s.Prev, s.Cur
	}
}

// Unpack makes s the state that was packed.
func (r *Rule) Unpack(s *State, a, b, c int64) {
	switch s.Last = a; r.Kind {
	case Calendar:
		s.Start, s.Cur = b, c
	case GCRA:
		level, window := uint64(c), uint64(r.Window)
		s.Start, s.Prev, s.Cur = b, int64(level%window), int64(level/window)
	default:
		s.Start, s.Prev, s.Cur = a-a%r.Window, b, c
	}
}
