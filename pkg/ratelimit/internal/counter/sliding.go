package counter

// The weight of the previous bucket is a fixed-point fraction with this
// denominator. It is rounded up, and so is the product: the estimate errs on
// the side of the limit.
const one = 1 << 20

// trailing estimates what was spent in the window that ends at s.Last: all of
// the current bucket and, of the previous one, the fraction that the trailing
// window still covers.
func trailing(s *State, window int64) int64 {
	if s.Prev == 0 {
		return s.Cur
	}
	left := window - (s.Last - s.Start)
	weight := ceilDiv(left*one, window)
	return ceilDiv(s.Prev*weight, one) + s.Cur
}

// slidingFitsFrom returns the first tick at which no more than room is used,
// room ≥ 0. It inverts trailing exactly: of the weights, one/2^20 apart, it
// takes the largest that is small enough, and the first tick with that weight.
func slidingFitsFrom(s *State, room, window int64) int64 {
	if s.Cur <= room {
		return s.Start + elapsedFor(s.Prev, room-s.Cur, window)
	}
	// This bucket alone is too much: it has to become the previous one first.
	return s.Start + window + elapsedFor(s.Cur, room, window)
}

// elapsedFor returns the first tick of a bucket at which ⌈prev·weight⌉ ≤ room,
// where prev > 0.
func elapsedFor(prev, room, window int64) int64 {
	weight := int64(one)
	if room < prev {
		weight = room * one / prev
	}
	return window - weight*window/one
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }
