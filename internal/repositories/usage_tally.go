package repositories

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/viva/rate-limiter/internal/models"
)

// tally is what each member of a group used, in the order of their names. It is
// read where it lies: unpacking a hundred thousand members takes longer than
// adding up a few of their counts.
type tally struct {
	members int
	names   string // each after its length
	counts  []tallyColumn
	bytes   int // of all of it
}

// tallyColumn holds one count of every member, in as many bytes as the longest
// needs: none where all are 0.
type tallyColumn struct {
	width int
	data  string
}

// member is one of a tally that is to be.
type member struct {
	name string
	models.UsageCounts
}

// packTally needs the members in the order of their names, each once.
func packTally(list []member) []byte {
	var names []byte
	for i := range list {
		names = binary.AppendUvarint(names, uint64(len(list[i].name)))
		names = append(names, list[i].name...)
	}
	data := binary.AppendUvarint(nil, uint64(len(list)))
	data = binary.AppendUvarint(data, uint64(len(names)))
	data = append(data, names...)
	for _, count := range countColumns {
		width := 0
		for i := range list {
			width = max(width, widthOf(*count.of(&list[i].UsageCounts)))
		}
		data = slices.Grow(append(data, byte(width)), width*len(list))
		for i := range list {
			n := uint64(*count.of(&list[i].UsageCounts))
			switch width {
			case 2:
				data = binary.LittleEndian.AppendUint16(data, uint16(n))
			case 4:
				data = binary.LittleEndian.AppendUint32(data, uint32(n))
			case 8:
				data = binary.LittleEndian.AppendUint64(data, n)
			}
		}
	}
	return data
}

func widthOf(n int64) int {
	switch {
	case n == 0:
		return 0
	case n == int64(int16(n)):
		return 2
	case n == int64(int32(n)):
		return 4
	default:
		return 8
	}
}

var errTally = errors.New("a tally of usage is damaged")

// openTally reads what packTally made.
func openTally(packed []byte) (*tally, error) {
	data := string(packed)
	number := func() int {
		n, size := binary.Uvarint([]byte(data[:min(len(data), binary.MaxVarintLen64)]))
		if size <= 0 || n > math.MaxInt32 {
			return -1
		}
		data = data[size:]
		return int(n)
	}
	t := &tally{members: number(), bytes: len(packed)}
	length := number()
	if t.members < 0 || length < 0 || length > len(data) {
		return nil, errTally
	}
	t.names, data = data[:length], data[length:]
	t.counts = make([]tallyColumn, len(countColumns))
	for i := range t.counts {
		if data == "" || strings.IndexByte("\x00\x02\x04\x08", data[0]) < 0 || len(data)-1 < int(data[0])*t.members {
			return nil, errTally
		}
		end := 1 + int(data[0])*t.members
		t.counts[i], data = tallyColumn{int(data[0]), data[1:end]}, data[end:]
	}
	return t, nil
}

// of gives the count of the member with that number.
func (c *tallyColumn) of(n int) int64 {
	at := n * c.width
	switch c.width {
	case 2:
		return int64(int16(uint16(c.data[at]) | uint16(c.data[at+1])<<8))
	case 4:
		return int64(int32(uint32(c.data[at]) | uint32(c.data[at+1])<<8 | uint32(c.data[at+2])<<16 | uint32(c.data[at+3])<<24))
	case 8:
		var n uint64
		for i := range 8 {
			n |= uint64(c.data[at+i]) << (8 * i)
		}
		return int64(n)
	default:
		return 0
	}
}

// tallyCursor goes through the members of a tally.
type tallyCursor struct {
	*tally
	sign int64 // 1, or -1 where it is taken away

	n    int    // the member it is at
	name string // its name
	rest string
}

func newTallyCursor(t *tally, sign int64) *tallyCursor {
	c := &tallyCursor{tally: t, sign: sign, n: -1, rest: t.names}
	c.next()
	return c
}

// done tells whether there is no member left.
func (c *tallyCursor) done() bool { return c.n >= c.members }

func (c *tallyCursor) next() {
	if c.n++; c.done() || c.rest == "" {
		c.n = c.members
		return
	}
	length, size := int(c.rest[0]), 1
	for shift := 7; c.rest[size-1] >= 0x80; shift += 7 {
		length = length&(1<<shift-1) | int(c.rest[size])<<shift
		size++
	}
	c.name, c.rest = c.rest[size:size+length], c.rest[size+length:]
}
