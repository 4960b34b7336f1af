package counter

import "encoding/binary"

// AppendIdentity appends the identity of a counter within its group to b: no
// two identities have the same bytes, whatever the names hold. The window of a
// Calendar is its name, that of the other kinds its length.
func (r *Rule) AppendIdentity(b []byte, scope, id, name, calendar string) []byte {
	b = append(b, byte(r.Kind))
	b = AppendString(b, scope)
	b = AppendString(b, id)
	b = AppendString(b, name)
	if r.Kind == Calendar {
		return AppendString(b, calendar)
	}
	return binary.AppendUvarint(b, uint64(r.Window*r.Tick))
}

// AppendString appends the length of s and s.
func AppendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
