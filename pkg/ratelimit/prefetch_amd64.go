package ratelimit

// prefetch begins to load the cache lines of an entry and does not wait for
// them. An ordinary load would be waited for by the next reading of the clock.
//
//go:noescape
func prefetch(e *entry)
