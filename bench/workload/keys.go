package workload

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// keyLength is the length of every key in bytes: about that of an API key's id.
const keyLength = len("key_") + 16

// appendKey appends the i-th key. Mixing i is a bijection, so keys differ, and neighbors have nothing in common.
func appendKey(b []byte, i uint64) []byte {
	const digits = "0123456789abcdef"
	i += 0x9e3779b97f4a7c15
	i = (i ^ i>>30) * 0xbf58476d1ce4e5b9
	i = (i ^ i>>27) * 0x94d049bb133111eb
	i ^= i >> 31
	b = append(b, "key_"...)
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[i>>shift&15])
	}
	return b
}

// lay returns n keys, the one after the other in memory that is theirs alone, as a service finds the key of each
// request in the request's own bytes: close at hand, and not the very string the limiter may have kept.
func lay(n int, next func() uint64) []string {
	var text strings.Builder
	text.Grow(n * keyLength)
	var key [keyLength]byte
	for range n {
		text.Write(appendKey(key[:0], next()))
	}
	keys, all := make([]string, n), text.String()
	for i := range keys {
		keys[i] = all[i*keyLength : (i+1)*keyLength]
	}
	return keys
}

// Keys returns n keys from the first-th on.
func Keys(first, n int) []string {
	i := uint64(first)
	return lay(n, func() uint64 { i++; return i - 1 })
}

// Pattern says which keys are used how often.
type Pattern string

// The patterns.
const (
	Hot     Pattern = "one hot key"
	Uniform Pattern = "uniform"
	Zipf    Pattern = "Zipf 1.1" // the k-th most frequent key is used k^-1.1 times as often as the first
)

// Accesses returns the keys of n uses of the first so many keys, in that pattern; another seed gives other ones.
func Accesses(pattern Pattern, keys, n int, seed uint64) []string {
	source := rand.New(rand.NewPCG(seed, uint64(keys)))
	switch pattern {
	case Hot:
		return lay(n, func() uint64 { return 0 })
	case Zipf:
		zipf := rand.NewZipf(source, 1.1, 1, uint64(keys-1))
		return lay(n, func() uint64 { return scatter(zipf.Uint64(), uint64(keys)) })
	default:
		return lay(n, func() uint64 { return source.Uint64N(uint64(keys)) })
	}
}

// scatter maps ranks to keys one to one, as long as keys is no multiple of this prime: the most frequent keys shall
// not be those that were inserted first and lie together.
func scatter(rank, keys uint64) uint64 { return rank * 2654435761 % keys }

// Count writes a number of keys shortly: 1k, 10M.
func Count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return strconv.Itoa(n/1_000_000) + "M"
	case n >= 1_000 && n%1_000 == 0:
		return strconv.Itoa(n/1_000) + "k"
	default:
		return strconv.Itoa(n)
	}
}
