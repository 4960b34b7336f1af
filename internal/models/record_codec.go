package models

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// The stored form of a record is a version, then its fields in the order they
// are written below: numbers as varints, instants as microseconds, text and ids
// with their length before them. A field is never taken out or moved;
// new ones go to the end, behind a new version that says they are there.
const recordVersion = 1

// The flags of a record.
const (
	flagLive = 1 << iota
	flagAllowed
	flagDegraded
	flagReplayed
	flagSettle
	flagOnce
	flagTiming
)

// The flags of a recorded limit.
const (
	flagDenied = 1 << iota
	flagWouldDeny
	flagTightest
	flagQuota
)

// AppendRecord appends the stored form of a record about the snapshot's key,
// whose identity is encoded already.
func (s *Snapshot) AppendRecord(b []byte, r *Record) []byte {
	return r.append(b, s.compiled.identity)
}

// Append appends the stored form of the record.
func (r *Record) Append(b []byte) []byte {
	return r.append(b, appendIdentity(nil, r.KeyID, &r.Segment))
}

// appendIdentity appends whom a record is about.
func appendIdentity(b []byte, key KeyID, s *Segment) []byte {
	b = appendText(b, string(key))
	b = appendText(b, string(s.OwnerID))
	b = appendText(b, string(s.PlanID))
	b = binary.AppendVarint(b, int64(s.PlanVersion))
	return appendInstant(b, s.Since)
}

func appendInstant(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.UnixMicro())
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (r *Record) append(b, identity []byte) []byte {
	b = append(b, recordVersion, byte(r.Kind), r.flags())
	b = appendText(b, r.RequestID)
	b = appendInstant(b, r.At)
	if r.Once != (EventID{}) {
		b = append(b, r.Once[:]...)
	}
	b = append(b, identity...)
	b = appendText(b, r.Code)
	b = binary.AppendVarint(b, r.Cost)
	b = binary.AppendVarint(b, r.Units)
	b = appendText(b, r.Meter)
	b = appendText(b, r.Method)
	b = appendText(b, r.Endpoint)
	b = appendAddress(b, r.IP)
	b = appendText(b, r.UserAgent)
	b = binary.AppendUvarint(b, uint64(len(r.Limits)))
	for i := range r.Limits {
		b = r.Limits[i].append(b)
	}
	if r.Kind == RecordReport {
		b = binary.AppendVarint(b, int64(r.Status))
		b = binary.AppendVarint(b, r.LatencyMS)
		b = binary.AppendVarint(b, r.BytesIn)
		b = binary.AppendVarint(b, r.BytesOut)
	}
	return b
}

func (r *Record) flags() (flags byte) {
	set := func(is bool, flag byte) {
		if is {
			flags |= flag
		}
	}
	set(r.Live, flagLive)
	set(r.Allowed, flagAllowed)
	set(r.Degraded, flagDegraded)
	set(r.Replayed, flagReplayed)
	set(r.Settle, flagSettle)
	set(r.Once != EventID{}, flagOnce)
	set(r.HasTiming, flagTiming)
	return flags
}

func appendAddress(b []byte, ip netip.Addr) []byte {
	switch {
	case !ip.IsValid():
		return append(b, 0)
	case ip.Is4():
		v4 := ip.As4()
		return append(append(b, 4), v4[:]...)
	default:
		v6 := ip.As16()
		return append(append(b, 16), v6[:]...)
	}
}

func (l *RecordedLimit) append(b []byte) []byte {
	var flags byte
	if l.Denied {
		flags |= flagDenied
	}
	if l.WouldDeny {
		flags |= flagWouldDeny
	}
	if l.Tightest {
		flags |= flagTightest
	}
	if l.Period != "" {
		flags |= flagQuota
	}
	b = append(b, flags)
	b = appendText(b, l.Rule)
	b = appendText(b, string(l.Scope))
	for _, n := range [...]int64{l.Limit, l.Remaining, l.ResetAfterMS, l.RetryAfterMS, l.Spent} {
		b = binary.AppendVarint(b, n)
	}
	if l.Period != "" {
		b = appendText(b, string(l.Period))
		b = appendInstant(b, l.Start)
	}
	return b
}

var errRecord = errors.New("not a record")

// DecodeRecord reads what Append wrote. Its error says that the bytes are no
// record, or one of a version that this program does not know.
func DecodeRecord(data []byte) (Record, error) {
	var d RecordDecoder
	var r Record
	err := d.Decode(data, &r)
	return r, err
}

// RecordDecoder reads many records, whose limits share memory.
type RecordDecoder struct{ limits []RecordedLimit }

// Decode makes r what Append wrote, or nothing where it fails.
func (rd *RecordDecoder) Decode(data []byte, r *Record) error {
	*r = Record{}
	d := decoder{text: string(data)} // once, to be shared by all strings
	if version := d.byte(); version != recordVersion {
		return fmt.Errorf("%w of version %d", errRecord, recordVersion)
	}
	r.Kind = RecordKind(d.byte())
	flags := d.byte()
	r.Live, r.Allowed, r.Degraded = flags&flagLive != 0, flags&flagAllowed != 0, flags&flagDegraded != 0
	r.Replayed, r.Settle, r.HasTiming = flags&flagReplayed != 0, flags&flagSettle != 0, flags&flagTiming != 0
	r.RequestID, r.At = d.string(), d.instant()
	if flags&flagOnce != 0 {
		copy(r.Once[:], d.bytes(len(r.Once)))
	}
	r.KeyID, r.Segment.OwnerID, r.Segment.PlanID = KeyID(d.string()), OwnerID(d.string()), PlanID(d.string())
	r.Segment.PlanVersion, r.Segment.Since = int(d.varint()), d.instant()
	r.Code, r.Cost, r.Units = d.string(), d.varint(), d.varint()
	r.Meter, r.Method, r.Endpoint = d.string(), d.string(), d.string()
	r.IP, r.UserAgent = d.address(), d.string()
	if n := d.uvarint(); n > 0 && n <= uint64(len(d.text)) { // a limit has more than a byte
		r.Limits = rd.room(int(n))
	} else if n > 0 {
		d.failed = true
	}
	for i := range r.Limits {
		d.limit(&r.Limits[i])
	}
	if r.Kind == RecordReport {
		r.Status, r.LatencyMS, r.BytesIn, r.BytesOut = int(d.varint()), d.varint(), d.varint(), d.varint()
	}
	if d.failed || d.text != "" || r.Kind < RecordCheck || r.Kind > RecordAdjustment {
		*r = Record{}
		return errRecord
	}
	return nil
}

// limitsAtOnce is for how many limits memory is asked for at a time.
const limitsAtOnce = 256

func (rd *RecordDecoder) room(n int) []RecordedLimit {
	if len(rd.limits) < n {
		rd.limits = make([]RecordedLimit, max(n, limitsAtOnce))
	}
	limits := rd.limits[:n:n]
	rd.limits = rd.limits[n:]
	return limits
}

// decoder takes values off the front of a text. After a failure it gives zeros.
type decoder struct {
	text   string
	failed bool
}

func (d *decoder) bytes(n int) string {
	if n < 0 || n > len(d.text) {
		d.failed, d.text = true, ""
		return ""
	}
	s := d.text[:n]
	d.text = d.text[n:]
	return s
}

func (d *decoder) byte() byte {
	if s := d.bytes(1); s != "" {
		return s[0]
	}
	return 0
}

func (d *decoder) uvarint() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		c := d.byte()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	d.failed = true
	return 0
}

func (d *decoder) varint() int64 {
	n := d.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (d *decoder) string() string { return d.bytes(int(min(d.uvarint(), 1<<31))) }

func (d *decoder) instant() time.Time {
	if n := d.varint(); n != 0 {
		return time.UnixMicro(n).UTC()
	}
	return time.Time{}
}

func (d *decoder) address() netip.Addr {
	switch n := d.byte(); n {
	case 0:
		return netip.Addr{}
	case 4, 16:
		ip, _ := netip.AddrFromSlice([]byte(d.bytes(int(n))))
		return ip
	default:
		d.failed = true
		return netip.Addr{}
	}
}

func (d *decoder) limit(l *RecordedLimit) {
	flags := d.byte()
	l.Denied, l.WouldDeny, l.Tightest = flags&flagDenied != 0, flags&flagWouldDeny != 0, flags&flagTightest != 0
	l.Rule, l.Scope = d.string(), Scope(d.string())
	l.Limit, l.Remaining, l.ResetAfterMS, l.RetryAfterMS, l.Spent = d.varint(), d.varint(), d.varint(), d.varint(), d.varint()
	if flags&flagQuota != 0 {
		l.Period, l.Start = PeriodKind(d.string()), d.instant()
	}
}
