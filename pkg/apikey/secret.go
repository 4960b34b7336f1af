package apikey

import (
	"fmt"
	"io"
)

// Secret holds a key or a token that was just made. Printed, logged or marshaled in any way it
// shows its mask; only Reveal returns it.
type Secret struct {
	// A pointer, because fmt prints the unexported fields of an outer struct without calling
	// their methods: it stops at the address.
	s *string
}

// Reveal returns the secret itself, to be shown to its owner once.
func (s Secret) Reveal() string {
	if s.s == nil {
		return ""
	}
	return *s.s
}

// Mask returns the mask of the secret, which may be stored and shown.
func (s Secret) Mask() string { return Mask(s.Reveal()) }

// String returns the mask.
func (s Secret) String() string { return s.Mask() }

// Format writes the mask, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) {
	// fmt collects output in memory: this write cannot fail.
	_, _ = io.WriteString(f, s.Mask())
}

// MarshalText returns the mask.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.Mask()), nil }

// Mask returns what may be shown of a key, for people to recognize it by: viva_live_…wXyZ for a key
// or a token of ours, …wXyZ for another opaque string, … for anything else. The ellipsis is not
// ASCII, so a mask is never a key. The four characters of a key of ours are of its checksum;
// 166 bits stay unknown.
func Mask(s string) string {
	if !Opaque(s) {
		return "…"
	}
	head := ""
	if Valid(s) || ValidToken(s) {
		head = s[:len(s)-payloadLength]
	}
	return head + "…" + s[len(s)-4:]
}
