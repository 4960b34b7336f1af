// Package inmemory measures limiters within a process. Each is held by a process of its own, so that no heap, garbage
// or leftover of another is in the way; they take turns, round after round, so that all of them suffer alike from what
// else the machine does.
package inmemory
