package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/google/uuid"

	"github.com/viva/rate-limiter/internal/models"
)

// A folder holds segments. Those in use are named
//
//	<stream id>-<first sequence number, 20 digits>.seg
//
// and those made ahead <stream id>-<number>.next: they become the former by a
// renaming, which may be lost with the machine, so that a .next file with a
// header counts as a segment, too. One without is nothing.
//
// All numbers are little endian, checksums are CRC-32C. A segment begins with
//
//	 0  magic    8 bytes, "VIVAJRNL"
//	 8  version  u32, 1
//	12  crc      u32, over the rest of the header
//	16  stream   16 bytes, a UUID
//	32  ordinal  u64, rising with each segment of the stream
//	40  first    u64, no record has a lower sequence number
//	48  started  u64, when the stream began, in µs since 1970
//	56  created  u64, when the segment was begun
//
// and goes on with records:
//
//	 0  len      u32, of the payload: 1 to 1 MiB
//	 4  crc      u32, over the stream's id, seq, at and payload
//	 8  seq      u64, sequence number, rising by one
//	16  at       u64, when the record was written, in µs since 1970
//	24  payload
//
// Segments are preallocated, so zeros follow the last record. The stream's id
// is in the checksum so that what a file system may bring back of a deleted
// file is never taken for a record of ours.
//
// A segment that was abandoned after a failure is superseded: of two segments
// of a stream, the records of the one with the lower ordinal count only up to
// the first of the other.
const (
	magic      = "VIVAJRNL"
	version    = 1
	headerSize = 64
	recordSize = 24 // without its payload

	// MaxPayload is how long a record may be.
	MaxPayload = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errHeader  = errors.New("the header is damaged")
	errBlank   = fmt.Errorf("the header is not written: %w", errHeader)
	errVersion = errors.New("the segment is of another version")
)

// header is what a segment begins with.
type header struct {
	stream         uuid.UUID
	ordinal, first int64
	started        time.Time
	created        time.Time
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], version)
	copy(b[16:], h.stream[:])
	binary.LittleEndian.PutUint64(b[32:], uint64(h.ordinal))
	binary.LittleEndian.PutUint64(b[40:], uint64(h.first))
	binary.LittleEndian.PutUint64(b[48:], uint64(h.started.UnixMicro()))
	binary.LittleEndian.PutUint64(b[56:], uint64(h.created.UnixMicro()))
	binary.LittleEndian.PutUint32(b[12:], headerSum(b))
	return b
}

func headerSum(b []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, b[:12]), castagnoli, b[16:headerSize])
}

func decodeHeader(b []byte) (h header, err error) {
	if leadingZeros(b) == len(b) {
		return h, errBlank
	}
	if len(b) < headerSize || string(b[:8]) != magic || binary.LittleEndian.Uint32(b[12:]) != headerSum(b) {
		return h, errHeader
	}
	if binary.LittleEndian.Uint32(b[8:]) != version {
		return h, errVersion
	}
	copy(h.stream[:], b[16:])
	h.ordinal = int64(binary.LittleEndian.Uint64(b[32:]))
	h.first = int64(binary.LittleEndian.Uint64(b[40:]))
	h.started = microTime(b[48:])
	h.created = microTime(b[56:])
	if h.first < 1 || h.ordinal < 1 {
		return h, errHeader
	}
	return h, nil
}

func microTime(b []byte) time.Time {
	return time.UnixMicro(int64(binary.LittleEndian.Uint64(b))).UTC()
}

// seedOf is what the checksums of a stream's records begin with.
func seedOf(stream uuid.UUID) uint32 { return crc32.Checksum(stream[:], castagnoli) }

// streamOf is how others know a stream.
func streamOf(id uuid.UUID) models.StreamID { return models.StreamID(id.String()) }

// appendRecord adds a record that has yet to be stamped.
func appendRecord(b, payload []byte) []byte {
	var head [recordSize]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(payload)))
	return append(append(b, head[:]...), payload...)
}

// stamp numbers the records in b from first on, and returns the last number.
func stamp(b []byte, seed uint32, first int64, at int64) (last int64) {
	for last = first - 1; len(b) > 0; {
		last++
		end := recordSize + int(binary.LittleEndian.Uint32(b))
		binary.LittleEndian.PutUint64(b[8:], uint64(last))
		binary.LittleEndian.PutUint64(b[16:], uint64(at))
		binary.LittleEndian.PutUint32(b[4:], crc32.Update(seed, castagnoli, b[8:end]))
		b = b[end:]
	}
	return last
}
