package apikey

import "strings"

// Class says how a presented string is to be treated.
type Class int

const (
	// Malformed can be no key of ours and none that was imported: refuse it.
	Malformed Class = iota
	// Generated is an intact key with one of our prefixes: look it up.
	Generated
	// Foreign may have been imported from another system: look it up where keys were imported.
	Foreign
)

// Prefixes is the set of prefixes our keyspaces use.
type Prefixes map[string]struct{}

// NewPrefixes returns the set of the given prefixes.
func NewPrefixes(prefixes ...string) Prefixes {
	set := make(Prefixes, len(prefixes))
	for _, p := range prefixes {
		set[p] = struct{}{}
	}
	return set
}

// Classify decides from the string alone, without allocating. A string that begins like one of
// our keys must be intact, and an access token is never a key; any other opaque string is Foreign.
func (p Prefixes) Classify(s string) Class {
	if key, err := Parse(s); err == nil {
		if _, ours := p[key.Prefix]; ours {
			return Generated
		}
	}
	if !Opaque(s) || ValidToken(s) || p.claim(s) {
		return Malformed
	}
	return Foreign
}

// claim reports whether s begins with one of the prefixes and an environment. As no prefix
// contains an environment, only the first one in s can follow a prefix.
func (p Prefixes) claim(s string) bool {
	for i := 1; i <= min(maxPrefix, len(s)-1); i++ {
		if strings.HasPrefix(s[i:], "_live_") || strings.HasPrefix(s[i:], "_test_") {
			_, ours := p[s[:i]]
			return ours
		}
	}
	return false
}

const (
	minOpaque = 16
	maxOpaque = 512
)

// Opaque reports whether s has the form any key must have, ours or not:
// 16 to 512 printable ASCII characters without a space (0x21 to 0x7e).
func Opaque(s string) bool {
	if len(s) < minOpaque || len(s) > maxOpaque {
		return false
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}
