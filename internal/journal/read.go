package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/viva/rate-limiter/internal/models"
)

// An Entry is one record.
type Entry struct {
	Seq     int64
	At      time.Time // when it was written
	Payload []byte    // not to be changed
}

// A position is where the last reader of a stream stopped. Reading on from
// there opens and searches nothing, nor does reading the same once more.
type position struct {
	mu     sync.Mutex
	seg    *segment
	file   *os.File
	scan   scanner
	before scanner // where the last call began, in the same segment
	closed bool
}

func (p *position) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave()
	p.closed = true
}

func (p *position) leave() {
	if p.file != nil {
		p.file.Close()
	}
	p.seg, p.file, p.scan, p.before = nil, nil, scanner{}, scanner{}
}

// leaveIf lets go of a segment that was deleted, unless someone is reading it.
func (p *position) leaveIf(seg *segment) {
	if p.mu.TryLock() {
		defer p.mu.Unlock()
		if p.seg == seg {
			p.leave()
		}
	}
}

// enter goes to where records above after can be found in a segment.
func (p *position) enter(seg *segment, after int64) error {
	switch {
	case p.seg == seg && p.scan.last <= after:
		return nil
	case p.seg == seg && p.before.last <= after:
		p.scan = p.before
		return nil
	}
	p.leave()
	f, err := os.Open(seg.path)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	p.seg, p.file = seg, f
	p.scan = *newScanner(f, seedOf(seg.stream), seg.first, 0, 0)
	p.before = p.scan
	return nil
}

const (
	// lookAgain is how often a file may vanish under a reader before it is an error.
	lookAgain = 5
	// roomFirst is for how many entries there is room from the start.
	roomFirst = 8192
)

// A view is what can be read of a stream beyond a number, at one moment.
type view struct {
	seg       *segment // nil where only memory has more
	end, most int64
	further   bool // there is another segment behind it
	held      []held
}

// look needs no lock of its own: what it saw stays readable, even if deleted,
// once it is open.
func (s *shelf) look(st *stream, past *segment, after int64) view {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v := view{held: st.held}
	for _, seg := range st.segments {
		if seg.most <= after || seg.most < seg.first || past != nil && seg.ordinal <= past.ordinal {
			continue
		}
		if v.seg != nil {
			v.further = true
			break
		}
		v.seg, v.end, v.most = seg, seg.end.Load(), seg.most
	}
	return v
}

func (s *shelf) read(id models.StreamID, after int64, most int) ([]Entry, error) {
	st := s.find(id)
	if st == nil {
		return nil, fmt.Errorf("read stream %s: %w", id, ErrUnknown)
	}
	if st.last.Load() <= after || most <= 0 {
		return nil, nil
	}
	p := &st.position
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("read stream %s: %w", id, ErrClosed)
	}
	entries, err := s.collect(st, after, most)
	if err != nil {
		return entries, fmt.Errorf("read stream %s: %w", id, err)
	}
	return entries, nil
}

// collect finds records above after. It needs the position's lock.
func (s *shelf) collect(st *stream, after int64, most int) ([]Entry, error) {
	p := &st.position
	entries := make([]Entry, 0, min(int64(most), st.last.Load()-after, roomFirst))
	var past *segment // read to its end
	for retries := 0; ; {
		v := s.look(st, past, after)
		if v.seg == nil {
			return takeHeld(entries, v.held, after, most), nil
		}
		err := p.enter(v.seg, after)
		if errors.Is(err, fs.ErrNotExist) && retries < lookAgain {
			retries++ // it was deleted or superseded since we looked
			continue
		}
		if err != nil {
			return entries, err
		}
		p.scan.end, p.scan.most = v.end, v.most
		p.before = p.scan
		for len(entries) < most {
			r, ok, err := p.scan.next()
			if err != nil {
				return entries, err
			}
			if !ok {
				break
			}
			if r.seq > after {
				entries = append(entries, r.entry())
				after = r.seq
			}
		}
		switch {
		case len(entries) == most:
			return entries, nil
		case !v.further:
			return takeHeld(entries, v.held, after, most), nil
		}
		past = v.seg
	}
}

func (r record) entry() Entry {
	return Entry{Seq: r.seq, At: time.UnixMicro(r.at).UTC(), Payload: r.raw[recordSize:]}
}

func takeHeld(entries []Entry, chunks []held, after int64, most int) []Entry {
	for _, h := range chunks {
		if h.last <= after {
			continue
		}
		for b := h.data; len(b) > 0 && len(entries) < most; {
			size := recordSize + int(binary.LittleEndian.Uint32(b))
			r := record{
				seq: int64(binary.LittleEndian.Uint64(b[8:])),
				at:  int64(binary.LittleEndian.Uint64(b[16:])),
				raw: b[:size:size],
			}
			if r.seq > after {
				entries = append(entries, r.entry())
			}
			b = b[size:]
		}
	}
	return entries
}
