package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// imported counts keys.
type imported struct {
	Imported int `json:"imported"`
	Repeated int `json:"repeated"` // imported by the same call before, within 24 hours
	Existing int `json:"existing"`
}

func (n imported) String() string {
	text := fmt.Sprintf("%d keys imported", n.Imported)
	if n.Repeated > 0 {
		text += fmt.Sprintf(", %d by the same command before", n.Repeated)
	}
	if n.Existing > 0 {
		text += fmt.Sprintf(", %d there already", n.Existing)
	}
	return text
}

func (n imported) all() int { return n.Imported + n.Repeated + n.Existing }

// progressEvery is how often it is told how far an import is.
const progressEvery = time.Second

// importProgress reads what is imported, counts it, and tells now and then how
// far it is. Of a file it also tells when it will end.
type importProgress struct {
	in   io.Reader
	out  io.Writer
	size int64 // in bytes; 0 where it is not known
	now  func() time.Time

	read int64 // bytes
	rows int   // in them

	mu          sync.Mutex
	done        imported
	stopped     bool
	began, told time.Time
}

func newImportProgress(out io.Writer, in io.Reader, now func() time.Time) *importProgress {
	p := &importProgress{in: in, out: out, now: now, began: now()}
	if file, ok := in.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			p.size = info.Size()
		}
	}
	p.told = p.began
	return p
}

// Read reads what is imported, and counts the bytes.
func (p *importProgress) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read += int64(n)
	return n, err
}

// add counts a row that was read.
func (p *importProgress) add() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows++
}

// count adds what became of a batch.
func (p *importProgress) count(done imported, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.Imported += done.Imported
	p.done.Repeated += done.Repeated
	p.done.Existing += done.Existing
	p.stopped = p.stopped || err != nil
	if at := p.now(); at.Sub(p.told) >= progressEvery {
		p.told = at
		fmt.Fprintln(p.out, p.line(at.Sub(p.began)))
	}
}

func (p *importProgress) failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// line tells how far it is after a time. How many rows there are in all follows
// from those that were read.
func (p *importProgress) line(after time.Duration) string {
	rate := float64(p.done.all()) / after.Seconds()
	text := fmt.Sprintf("%s; %.0f a second", p.done, rate)
	if p.size == 0 || p.read == 0 || rate == 0 {
		return text
	}
	rows := float64(p.rows) * float64(p.size) / float64(p.read)
	left := max(0, rows-float64(p.done.all()))
	return fmt.Sprintf("%s; %.0f %% done, %s left", text, 100*(1-left/rows),
		time.Duration(left/rate*float64(time.Second)).Round(time.Second))
}
