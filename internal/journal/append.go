package journal

import (
	"fmt"
	"sync"
)

// keepBuffer is how large a group's buffer may be to be used again.
const keepBuffer = 1 << 20

// A group is records that are written together. Journal.mu guards it until
// somebody with the pen takes it from Journal.filling.
type group struct {
	buf     []byte
	members int // appenders that have not returned
	done    bool
	err     error
	wake    sync.Cond
}

// newGroup needs Journal.mu.
func (j *Journal) newGroup() *group {
	if last := len(j.free) - 1; last >= 0 {
		g := j.free[last]
		j.free = j.free[:last]
		return g
	}
	g := &group{}
	g.wake.L = &j.mu
	return g
}

// Append adds a record, of 1 byte to MaxPayload. When it returns nil, the
// record is in the journal. It fails with ErrFull where there is no room, and
// with ErrClosed after Close.
func (j *Journal) Append(payload []byte) error {
	if err := check(payload); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return fmt.Errorf("append: %w", ErrClosed)
	}
	g := j.filling
	g.buf = appendRecord(g.buf, payload)
	return j.commit(g)
}

// AppendAll adds records in their order, with nothing between them: all or none.
func (j *Journal) AppendAll(payloads [][]byte) error {
	for _, payload := range payloads {
		if err := check(payload); err != nil {
			return err
		}
	}
	if len(payloads) == 0 {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return fmt.Errorf("append: %w", ErrClosed)
	}
	g := j.filling
	for _, payload := range payloads {
		g.buf = appendRecord(g.buf, payload)
	}
	return j.commit(g)
}

func check(payload []byte) error {
	if len(payload) < 1 || len(payload) > MaxPayload {
		return fmt.Errorf("append: a record has 1 to %d bytes, not %d", MaxPayload, len(payload))
	}
	return nil
}

// commit waits until a group is written, or writes it. It needs Journal.mu.
func (j *Journal) commit(g *group) error {
	g.members++
	for !g.done {
		if g == j.filling && !j.writing && j.wanting == 0 {
			j.writing = true
			j.writeGroup()
			j.passPen()
			break
		}
		g.wake.Wait()
	}
	err := g.err
	if g.members--; g.members == 0 {
		j.recycle(g)
	}
	return err
}

// recycle needs Journal.mu.
func (j *Journal) recycle(g *group) {
	g.done, g.err = false, nil
	g.buf = g.buf[:0]
	if cap(g.buf) > keepBuffer {
		g.buf = nil
	}
	j.free = append(j.free, g)
}

// writeGroup writes what has gathered. It needs Journal.mu, which it releases
// meanwhile, and the pen.
func (j *Journal) writeGroup() {
	g := j.filling
	j.filling = j.newGroup()
	j.mu.Unlock()
	err := j.write(g.buf)
	j.mu.Lock()
	g.done, g.err = true, err
	if g.members > 1 {
		g.wake.Broadcast()
	}
}

// writeFilling writes what has gathered, if anything, for those who wait.
func (j *Journal) writeFilling() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if g := j.filling; g.members > 0 {
		g.members++ // so that it is not used again before we are through
		j.writeGroup()
		if g.members--; g.members == 0 {
			j.recycle(g)
		}
	}
}

// takePen waits for the pen.
func (j *Journal) takePen() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wanting++
	for j.writing {
		j.pen.Wait()
	}
	j.wanting--
	j.writing = true
}

func (j *Journal) givePen() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.passPen()
}

// passPen needs Journal.mu.
func (j *Journal) passPen() {
	j.writing = false
	switch {
	case j.wanting > 0:
		j.pen.Signal()
	case j.filling.members > 0:
		j.filling.wake.Signal()
	}
}
