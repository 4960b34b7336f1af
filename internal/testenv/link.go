package testenv

import (
	"io"
	"net"
	"sync"
	"time"
)

// A link is one connection through the proxy: a client's, and the one made for it to the server.
type link struct {
	proxy  *Proxy
	client net.Conn
	once   sync.Once
	done   chan struct{}
	meant  bool // what the proxy was told to strike is about the last request; guarded by the proxy's lock
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		l.client.Close()
	})
}

func (l *link) serve() {
	defer l.close()
	if _, black := l.proxy.faults(); black {
		_, _ = io.Copy(io.Discard, l.client) // ends with the link
		return
	}
	server, err := net.Dial("tcp", l.proxy.targetAddr())
	if err != nil {
		return // the client sees its connection closed
	}
	var both sync.WaitGroup
	both.Go(func() { l.forward(server, l.client) })
	both.Go(func() { l.forward(l.client, server) })
	both.Go(func() {
		<-l.done
		server.Close()
	})
	both.Wait()
}

// A parcel is bytes on their way, and when they may arrive.
type parcel struct {
	bytes []byte
	due   time.Time
}

// forward carries bytes one way. Reading and writing apart keeps a delay from adding up over parcels.
func (l *link) forward(to, from net.Conn) {
	defer l.close()
	way := make(chan parcel, 1024)
	var writer sync.WaitGroup
	writer.Go(func() { l.deliver(to, way) })
	defer writer.Wait()
	defer close(way)
	var held bool
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		delay, black := l.proxy.faults()
		var ends bool
		bytes := buffer[:n]
		if n > 0 && !held {
			fault := l.strike(bytes, from == l.client)
			bytes, ends = fault.kept(bytes)
			held = fault == HoldReply
		}
		if len(bytes) > 0 && !black && !held {
			select {
			case way <- parcel{bytes, time.Now().Add(delay)}:
			case <-l.done:
				return
			}
		}
		if err != nil || ends {
			return
		}
	}
}

func (l *link) deliver(to net.Conn, way <-chan parcel) {
	for parcel := range way {
		wait := time.NewTimer(time.Until(parcel.due))
		select {
		case <-wait.C:
		case <-l.done:
			wait.Stop()
			return
		}
		if _, black := l.proxy.faults(); black {
			continue
		}
		if _, err := to.Write(parcel.bytes); err != nil {
			l.close()
			return
		}
	}
}
