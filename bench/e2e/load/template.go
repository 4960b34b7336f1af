package load

import (
	"fmt"
	"strings"
)

// Keys are strings of the same length, the one after the other.
type Keys struct {
	Text  []byte
	Width int // of each, in bytes
}

// Len returns how many keys there are.
func (k *Keys) Len() int { return len(k.Text) / k.Width }

// At returns the i-th key.
func (k *Keys) At(i int) []byte { return k.Text[i*k.Width : (i+1)*k.Width] }

// Hole stands in a body where each request has a key.
const Hole = "{key}"

// A Template is a request as it goes over the wire, with holes for keys.
type Template struct {
	wire  []byte
	holes []int
	width int
}

// Post makes a template for keys of a width: a POST of a JSON body, in which [Hole] stands for a key, with further
// header lines.
func Post(path, body string, width int, header ...string) *Template {
	parts := strings.Split(body, Hole)
	length := len(body) + (len(parts)-1)*(width-len(Hole))
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		path, length)
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	t := &Template{width: width}
	for i, part := range parts {
		if i > 0 {
			t.holes = append(t.holes, b.Len())
			b.WriteString(strings.Repeat("-", width))
		}
		b.WriteString(part)
	}
	t.wire = []byte(b.String())
	return t
}

// Keys returns how many keys a request has.
func (t *Template) Keys() int { return len(t.holes) }

// fill puts keys into the holes of a copy of the wire.
func (t *Template) fill(wire []byte, key func() []byte) {
	for _, hole := range t.holes {
		copy(wire[hole:hole+t.width], key())
	}
}
