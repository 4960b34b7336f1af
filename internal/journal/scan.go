package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	// chunk is how much is read at a time.
	chunk = 256 << 10
	// searchFactor bounds the search for the next good record: by so many times
	// the size of the segment, in bytes of checksums. Only a file made to
	// waste our time comes near it.
	searchFactor = 16
	// maxSpan is beyond the numbers of any segment, which spares the search
	// the checksums of nearly everything.
	maxSpan = 1 << 32
)

// A scanner reads the records of one segment in order, over whatever lies
// between them. What it returned stays as it is unless reuse is set.
type scanner struct {
	f     io.ReaderAt
	seed  uint32
	reuse bool // one buffer for all; records are good until the next call

	off    int64 // where the unread bytes begin in the file
	end    int64 // up to where the file may be read
	unread []byte
	space  []byte // with reuse, what unread is a part of

	first int64 // no record has a lower number
	last  int64 // the last number read; the next is higher
	most  int64 // highest number that counts

	corrupt int   // how often something lay in the way of a good record
	torn    bool  // something other than zeros lay behind the last
	spent   int64 // bytes summed in vain
}

// A record is a part of the scanner's buffer.
type record struct {
	seq, at int64
	raw     []byte // with its head
}

func newScanner(f io.ReaderAt, seed uint32, first, most, end int64) *scanner {
	return &scanner{f: f, seed: seed, off: headerSize, end: end, first: first, last: first - 1, most: most}
}

// next returns the next record. It returns false when there is none up to end;
// more may come once end is set further.
func (s *scanner) next() (r record, ok bool, err error) {
	if s.last >= s.most {
		return r, false, nil
	}
	size, err := s.valid(0)
	if err != nil {
		return r, false, err
	}
	if size == 0 {
		if size, err = s.search(); err != nil || size == 0 {
			return r, false, err
		}
	}
	r.raw = s.unread[:size:size]
	r.seq = int64(binary.LittleEndian.Uint64(r.raw[8:]))
	r.at = int64(binary.LittleEndian.Uint64(r.raw[16:]))
	if r.seq > s.most {
		return record{}, false, nil // a later segment has it
	}
	s.drop(size)
	s.last = r.seq
	return r, true, nil
}

func (s *scanner) drop(n int) {
	s.unread = s.unread[n:]
	s.off += int64(n)
}

// fill sees to n unread bytes. It returns false where the file has fewer.
func (s *scanner) fill(n int) (bool, error) {
	if len(s.unread) >= n {
		return true, nil
	}
	if s.off+int64(n) > s.end {
		return false, nil
	}
	room := int(min(chunk+int64(n), s.end-s.off))
	var b []byte
	switch {
	case !s.reuse:
		b = make([]byte, room)
	case cap(s.space) < room:
		s.space = make([]byte, room)
		fallthrough
	default:
		b = s.space[:room]
	}
	had := copy(b, s.unread)
	got, err := s.f.ReadAt(b[had:], s.off+int64(had))
	s.unread = b[:had+got]
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read at %d: %w", s.off+int64(had), err)
	}
	return len(s.unread) >= n, nil
}

// valid returns the size of the record at the i-th unread byte, or 0 where
// there is none that could come next.
func (s *scanner) valid(i int) (int, error) {
	if ok, err := s.fill(i + recordSize); !ok {
		return 0, err
	}
	length := int64(binary.LittleEndian.Uint32(s.unread[i:]))
	if length == 0 || length > MaxPayload || s.off+int64(i)+recordSize+length > s.end {
		return 0, nil
	}
	seq := int64(binary.LittleEndian.Uint64(s.unread[i+8:]))
	if seq <= s.last || seq-s.first > maxSpan {
		return 0, nil
	}
	size := recordSize + int(length)
	if ok, err := s.fill(i + size); !ok {
		return 0, err
	}
	sum := crc32.Update(s.seed, castagnoli, s.unread[i+8:i+size])
	if sum != binary.LittleEndian.Uint32(s.unread[i+4:]) {
		s.spent += length
		return 0, nil
	}
	return size, nil
}

// search finds the next record behind something that is none, and returns its
// size; 0 where there is none.
func (s *scanner) search() (int, error) {
	began := s.off
	var seen bool // of anything but zeros
	if next, err := s.leap(); next > 0 || err != nil {
		return next, err
	}
	for s.spent <= searchFactor*s.end+searchFactor*MaxPayload {
		if ok, err := s.fill(1); !ok {
			s.torn = s.torn || seen
			return 0, err
		}
		if zeros := leadingZeros(s.unread); zeros >= recordSize {
			// The zeros of the rest, or a hole. A head may begin with some.
			s.drop(zeros - recordSize + 1)
		}
		if s.off > began {
			size, err := s.valid(0)
			if err != nil {
				return 0, err
			}
			if size > 0 {
				s.corrupt++
				return size, nil
			}
		}
		seen = seen || s.unread[0] != 0
		s.drop(1)
	}
	s.torn = true
	s.drop(len(s.unread))
	s.off = s.end
	return 0, nil
}

// leap goes by the length of a record whose other bytes are damaged, as most
// damage is, so that nothing inside its payload is taken for a record.
func (s *scanner) leap() (int, error) {
	if ok, err := s.fill(recordSize); !ok {
		return 0, err
	}
	length := binary.LittleEndian.Uint32(s.unread)
	if length == 0 || length > MaxPayload {
		return 0, nil
	}
	skip := recordSize + int(length)
	size, err := s.valid(skip)
	if size > 0 {
		s.corrupt++
		s.drop(skip)
	}
	return size, err
}

var zeroBlock [4096]byte

// leadingZeros counts them, whole blocks at a time.
func leadingZeros(b []byte) int {
	n := 0
	for len(b)-n >= len(zeroBlock) && bytes.Equal(b[n:n+len(zeroBlock)], zeroBlock[:]) {
		n += len(zeroBlock)
	}
	for n < len(b) && b[n] == 0 {
		n++
	}
	return n
}
