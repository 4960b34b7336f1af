package load

import (
	"bytes"
	"errors"
	"fmt"
)

// A response is what a buffer begins with.
type response struct {
	status     int
	head, size int // bytes up to the body, and of all of it
}

var (
	blank     = []byte("\r\n\r\n")
	lineBreak = []byte("\r\n")
	version   = []byte("HTTP/1.1 ")
	length    = []byte("content-length")
	encoding  = []byte("transfer-encoding")
	chunked   = []byte("chunked")
)

// parse reads the response that the buffer begins with; whole is false where more is to come.
func parse(b []byte) (r response, whole bool, err error) {
	end := bytes.Index(b, blank)
	if end < 0 {
		return r, false, nil
	}
	head := b[:end+2]
	r.head = end + 4
	if len(head) < len(version)+5 || !bytes.HasPrefix(head, version) {
		return r, false, fmt.Errorf("no HTTP/1.1 response: %.40q", head)
	}
	if r.status, err = number(head[len(version):len(version)+3], 10); err != nil {
		return r, false, fmt.Errorf("status: %w", err)
	}
	body, inChunks := -1, false
	for line := after(head); len(line) > 0; line = after(line) {
		// Only two headers matter, and no other name is looked at closely.
		if c := line[0] | 0x20; c != 'c' && c != 't' {
			continue
		}
		name, value, _ := bytes.Cut(line[:bytes.Index(line, lineBreak)], []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, length):
			if body, err = number(value, 10); err != nil {
				return r, false, fmt.Errorf("content-length: %w", err)
			}
		case bytes.EqualFold(name, encoding):
			inChunks = bytes.EqualFold(value, chunked)
		}
	}
	switch {
	case inChunks:
		n, whole, err := chunks(b[r.head:])
		r.size = r.head + n
		return r, whole, err
	case body >= 0:
		r.size = r.head + body
	case r.status == 204 || r.status == 304:
		r.size = r.head
	default:
		return r, false, errors.New("the response has neither a length nor chunks")
	}
	return r, len(b) >= r.size, nil
}

// after returns what follows the first line.
func after(lines []byte) []byte { return lines[bytes.Index(lines, lineBreak)+2:] }

// chunks returns the length of a body in chunks, with its sizes and trailers.
func chunks(b []byte) (n int, whole bool, err error) {
	for {
		end := bytes.Index(b[n:], lineBreak)
		if end < 0 {
			return n, false, nil
		}
		digits, _, _ := bytes.Cut(b[n:n+end], []byte(";"))
		size, err := number(bytes.TrimSpace(digits), 16)
		if err != nil {
			return n, false, fmt.Errorf("size of a chunk: %w", err)
		}
		if n += end + 2; size == 0 {
			return trailers(b, n)
		}
		if n += size + 2; n > len(b) {
			return n, false, nil
		}
	}
}

// trailers end with an empty line.
func trailers(b []byte, n int) (int, bool, error) {
	for {
		end := bytes.Index(b[n:], lineBreak)
		if end < 0 {
			return n, false, nil
		}
		if n += end + 2; end == 0 {
			return n, true, nil
		}
	}
}

// number reads digits; nine of them are more than anything here has.
func number(digits []byte, base int) (n int, err error) {
	if len(digits) == 0 || len(digits) > 9 {
		return 0, fmt.Errorf("no number: %.20q", digits)
	}
	for _, c := range digits {
		d := base
		switch {
		case '0' <= c && c <= '9':
			d = int(c - '0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			d = int(c|0x20-'a') + 10
		}
		if d >= base {
			return 0, fmt.Errorf("no number: %.20q", digits)
		}
		n = n*base + d
	}
	return n, nil
}
