package controllers

import (
	"net/netip"
	"strings"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
)

// plain reads checks that are written the way nearly all are: known members,
// strings of printable ASCII without escapes, integers of a few digits. It
// refuses the rest, valid or not, and leaves it to the schema: what it takes,
// the schema takes too, and reads the same. Strings share the body's memory.
type plain struct {
	text string
	at   int
}

// check reads one object; ok is false where it is not plain.
func (p *plain) check(c *validation.Check) (ok bool) {
	*c = validation.Check{Cost: 1}
	if !p.next('{') {
		return false
	}
	for seen := member(0); ; {
		name, ok := p.string(16)
		which := memberOf(name)
		if !ok || which == 0 || seen&which != 0 || !p.next(':') || !p.member(c, which) {
			return false
		}
		if seen |= which; p.next(',') {
			continue
		}
		return p.next('}') && seen&memberKey != 0
	}
}

// member is a set of the members of a check.
type member uint16

const (
	memberKey member = 1 << iota
	memberKeyspace
	memberCheckID
	memberCost
	memberMethod
	memberEndpoint
	memberIP
	memberPermissions
	memberUserAgent
	memberSettle
)

func memberOf(name string) member {
	switch name {
	case "api_key":
		return memberKey
	case "keyspace":
		return memberKeyspace
	case "check_id":
		return memberCheckID
	case "cost":
		return memberCost
	case "method":
		return memberMethod
	case "endpoint":
		return memberEndpoint
	case "ip":
		return memberIP
	case "permissions":
		return memberPermissions
	case "user_agent":
		return memberUserAgent
	case "settle":
		return memberSettle
	default:
		return 0
	}
}

func (p *plain) member(c *validation.Check, which member) (ok bool) {
	switch which {
	case memberKey:
		c.APIKey, ok = p.string(len(p.text))
	case memberKeyspace:
		c.Keyspace, ok = p.string(models.MaxName)
	case memberCheckID:
		c.CheckID, ok = p.string(validation.MaxCheckID)
	case memberCost:
		c.Cost, ok = p.integer()
	case memberMethod:
		c.Method, ok = p.string(maxMethod)
	case memberEndpoint:
		c.Endpoint, ok = p.string(validation.MaxEndpoint)
	case memberIP:
		c.IP, ok = p.address()
	case memberPermissions:
		c.Permissions, ok = p.strings(models.MaxPermissions, models.MaxPermission)
	case memberUserAgent:
		c.UserAgent, ok = p.string(validation.MaxUserAgent)
	case memberSettle:
		c.Settle, ok = p.boolean()
	}
	return ok
}

// maxMethod bounds the method of a check.
const maxMethod = 16

func (p *plain) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// next takes one character, and the space around it.
func (p *plain) next(c byte) bool {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	p.space()
	return true
}

// end tells whether everything was read.
func (p *plain) end() bool {
	p.space()
	return p.at == len(p.text)
}

func (p *plain) string(most int) (s string, ok bool) {
	if p.at == len(p.text) || p.text[p.at] != '"' {
		return "", false
	}
	start := p.at + 1
	for i := start; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.at = i + 1
			return p.text[start:i], i-start <= most
		case c < ' ' || c > '~' || c == '\\':
			return "", false
		}
	}
	return "", false
}

// integer reads one that is within the bounds of a cost whatever its digits.
func (p *plain) integer() (n int64, ok bool) {
	start := p.at
	for ; p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9'; p.at++ {
		if p.at-start == 15 {
			return 0, false
		}
		n = 10*n + int64(p.text[p.at]-'0')
	}
	digits := p.at - start
	return n, digits == 1 || digits > 1 && p.text[start] != '0'
}

func (p *plain) boolean() (value, ok bool) {
	for _, text := range [...]string{"true", "false"} {
		if strings.HasPrefix(p.text[p.at:], text) {
			p.at += len(text)
			return text == "true", true
		}
	}
	return false, false
}

func (p *plain) address() (netip.Addr, bool) {
	s, ok := p.string(64)
	if !ok || s == "" {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap().WithZone(""), err == nil
}

func (p *plain) strings(most, longest int) (list []string, ok bool) {
	if !p.next('[') || p.at < len(p.text) && p.text[p.at] == ']' {
		return nil, false
	}
	for {
		s, ok := p.string(longest)
		if !ok || len(list) == most {
			return nil, false
		}
		if list = append(list, s); p.next(',') {
			continue
		}
		return list, p.next(']')
	}
}
