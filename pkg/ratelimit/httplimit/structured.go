package httplimit

import (
	"math"
	"math/bits"
	"strconv"
	"time"
)

// AppendPolicy appends one member of RateLimit-Policy,
//
//	"per-minute";q=100;w=60
//
// where w is left out unless it is whole seconds: calendar periods have none.
// Burst is that of a GCRA rule, and zero for others: q is then the burst and w
// the time in which it drains, so that never more remains than q. With
// AppendLimit it is for those who send headers by other means than an
// http.Header; they leave out shadow rules and put ", " between members.
func AppendPolicy(b []byte, name string, limit, burst int64, window time.Duration) []byte {
	if burst > 0 {
		window, limit = drain(limit, burst, window), burst
	}
	b = appendString(b, name)
	b = append(b, ";q="...)
	b = strconv.AppendInt(b, min(limit, maxInteger), 10)
	if window > 0 && window%time.Second == 0 {
		b = append(b, ";w="...)
		b = strconv.AppendInt(b, int64(window/time.Second), 10)
	}
	return b
}

// drain is the time in which a burst drains at limit units a window, or zero if
// that is no whole number of nanoseconds.
func drain(limit, burst int64, window time.Duration) time.Duration {
	high, low := bits.Mul64(uint64(burst), uint64(window))
	if high >= uint64(limit) {
		return 0
	}
	whole, part := bits.Div64(high, low, uint64(limit))
	if part > 0 || whole > math.MaxInt64 {
		return 0
	}
	return time.Duration(whole)
}

// AppendLimit appends one member of RateLimit,
//
//	"per-minute";r=42;t=17
//
// where t, the time until more than r can be spent, is rounded up to seconds
// and left out if there is none because nothing is used.
func AppendLimit(b []byte, name string, remaining int64, resetAfter time.Duration) []byte {
	b = appendString(b, name)
	b = append(b, ";r="...)
	b = strconv.AppendInt(b, min(remaining, maxInteger), 10)
	if resetAfter > 0 {
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, seconds(resetAfter), 10)
	}
	return b
}

// maxInteger is the largest integer of a structured field (RFC 9651, 3.3.1).
const maxInteger = 999_999_999_999_999

// appendString writes a String of a structured field (RFC 9651, 3.3.3), which
// for these characters is a string of JSON too. It knows printable ASCII only:
// a name with anything else is percent-encoded, its percent signs included.
func appendString(b []byte, s string) []byte {
	escape, encode := false, false
	for i := range len(s) {
		c := s[i]
		escape = escape || c == '"' || c == '\\'
		encode = encode || !printable(c)
	}
	b = append(b, '"')
	if escape || encode {
		b = appendEscaped(b, s, encode)
	} else {
		b = append(b, s...)
	}
	return append(b, '"')
}

func appendEscaped(b []byte, s string, encode bool) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case encode && (c == '%' || !printable(c)):
			b = append(b, '%', hex[c>>4], hex[c&15])
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

func printable(c byte) bool { return ' ' <= c && c <= '~' }

// seconds rounds up: who waits so long has waited long enough.
func seconds(d time.Duration) int64 { return roundUp(d, time.Second) }

func roundUp(d, unit time.Duration) int64 {
	whole := int64(d / unit)
	if d%unit > 0 {
		whole++
	}
	return whole
}
