package testenv

import "bytes"

// A Fault befalls single parcels that pass through a [Proxy]. A parcel is what arrived at once: of a client that asks
// and waits a request or a reply, and of one that asks ahead several of them.
type Fault int

// The faults. After each, the connection is of no use any more.
const (
	LoseRequest Fault = iota + 1 // nothing of the parcel reaches the server, and the connection ends
	CutRequest                   // half of the parcel reaches the server, and the connection ends
	LoseReply                    // the server has answered, the client hears nothing, and the connection ends
	CutReply                     // half of the parcel reaches the client, and the connection ends
	HoldReply                    // from this parcel on the client hears nothing, and the connection stays
)

func (f Fault) String() string {
	return [...]string{"none", "lose request", "cut request", "lose reply", "cut reply", "hold reply"}[f]
}

// strikes are the faults that the proxy is told to make.
type strikes struct {
	fault  Fault
	about  []byte // only requests that hold it, and replies to them; all where it is empty
	every  int
	passed int // parcels
	struck int
}

// Strike makes a fault of every n-th parcel that goes the fault's way, counted over all connections, until Restore.
func (p *Proxy) Strike(fault Fault, every int) { p.StrikeAbout("", fault, every) }

// StrikeAbout is Strike for the requests that hold a text, or the replies to them. It is for clients that ask and wait:
// the reply to a request is the parcel that comes next.
func (p *Proxy) StrikeAbout(text string, fault Fault, every int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes = strikes{fault: fault, about: []byte(text), every: every}
}

// Struck is how many faults Strike has made of parcels since it was called.
func (p *Proxy) Struck() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.strikes.struck
}

// strike is the fault of a parcel, none if it goes on as it is.
func (l *link) strike(parcel []byte, request bool) Fault {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.strikes
	if request {
		l.meant = bytes.Contains(parcel, s.about)
	}
	about := l.meant || len(s.about) == 0
	if s.fault == 0 || !about || request != (s.fault == LoseRequest || s.fault == CutRequest) {
		return 0
	}
	if s.passed++; s.passed%s.every != 0 {
		return 0
	}
	s.struck++
	return s.fault
}

// kept is what of a parcel goes on after a fault, and whether the connection ends with it.
func (f Fault) kept(parcel []byte) (rest []byte, ends bool) {
	switch f {
	case LoseRequest, LoseReply:
		return nil, true
	case CutRequest, CutReply:
		return parcel[:len(parcel)/2], true
	case HoldReply:
		return nil, false
	default:
		return parcel, false
	}
}
