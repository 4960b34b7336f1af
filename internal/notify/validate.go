package notify

import (
	"errors"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// The bounds of a destination.
const (
	maxURL         = 2048
	maxHeaders     = 20
	maxHeaderName  = 128
	maxHeaderValue = 1024
	maxAddress     = 254
)

// Check says of the URL, headers and addresses of a destination what is wrong
// with their form, in the fields url, headers and to. It asks nothing of the
// network, so that a host whose address turns out to be private is only refused
// when something is sent. Which of these a type needs is not its matter.
func (s *Sender) Check(v *apierror.Validator, d *models.Destination) {
	if d.URL != "" {
		if _, err := s.parseURL(d.URL); err != nil {
			v.Check(false, "url", err.Error())
		}
	}
	checkHeaders(v, d.Headers)
	seen := map[string]bool{}
	for i, address := range d.To {
		at, key := v.In("to", i), strings.ToLower(address)
		at.Check(validAddress(address), "", "must be an e-mail address such as ops@example.com")
		at.Check(!seen[key], "", "must not be there twice")
		seen[key] = true
	}
}

// parseURL reads the URL of a webhook. Its errors say what would be right, and
// do not show it.
func (s *Sender) parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	printable := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	if err != nil || !printable || len(text) > maxURL || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "http") ||
		!validHost(u.Hostname()) || strings.HasSuffix(u.Host, ":") {
		return nil, errors.New("must be a URL such as https://example.com/hooks, of at most 2048 characters of ASCII")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("must have a port from 1 to 65535, or none")
		}
	}
	if u.User != nil {
		return nil, errors.New("must not hold a name or password: send them in a header")
	}
	if u.Fragment != "" || strings.Contains(text, "#") {
		return nil, errors.New("must not have a fragment")
	}
	if literal, err := netip.ParseAddr(u.Hostname()); err == nil && !s.allowed.admits(literal) {
		return nil, errors.New("must name a public address, or one in notify.allow_networks")
	}
	if u.Scheme == "http" && !s.options.AllowHTTP && !s.plainHost(u.Hostname()) {
		return nil, errors.New("must begin with https:// (notify.allow_http permits http)")
	}
	return u, nil
}

// plainHost tells whether a host stands in a network that the operator allowed
// by its address, so that nobody else hears what is sent to it.
func (s *Sender) plainHost(host string) bool {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	a, err := netip.ParseAddr(host)
	return err == nil && s.allowed.contain(a.WithZone("").Unmap())
}

// validHost accepts names and addresses in their usual form. Some resolvers take
// 2130706433 or 0x7f.1 for addresses; nobody means well with these.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, labelChars) != "" {
			return false
		}
	}
	last := strings.ToLower(labels[len(labels)-1])
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}

const (
	letters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	labelChars = letters + "0123456789-_"
	tokenChars = labelChars + "!#$%&'*+.^`|~"
)

// reserved are the headers that this program or HTTP itself sets.
var reserved = []string{
	"Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Te",
	"Trailer", "Upgrade", "Expect", "User-Agent", "Accept-Encoding", "Proxy-Authorization", "Proxy-Connection",
}

func reservedHeader(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, "Webhook-") || slices.Contains(reserved, name)
}

func checkHeaders(v *apierror.Validator, headers map[string]string) {
	v.Checkf(len(headers) <= maxHeaders, "headers", "must be at most %d", maxHeaders)
	seen := map[string]bool{}
	var names, taken, doubled, values bool
	for name, value := range headers {
		key := http.CanonicalHeaderKey(name)
		names = names || name == "" || len(name) > maxHeaderName || strings.Trim(name, tokenChars) != ""
		taken = taken || reservedHeader(name)
		doubled = doubled || seen[key]
		seen[key] = true
		values = values || len(value) > maxHeaderValue || strings.TrimSpace(value) != value ||
			strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0
	}
	v.Checkf(!names, "headers", "must have names of 1 to %d letters, digits and hyphens, such as X-Team", maxHeaderName)
	v.Check(!taken, "headers", "must not name a header that is set by this service: webhook-*, Host, Content-Type, User-Agent and those of the connection")
	v.Check(!doubled, "headers", "must name each header once, in whatever case")
	v.Checkf(!values, "headers", "must have values of at most %d visible ASCII characters and spaces, none at the ends", maxHeaderValue)
}

// validAddress accepts an address alone, without a name, that cannot end a
// line or a command of SMTP.
func validAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text && len(text) <= maxAddress && strings.IndexFunc(text, func(r rune) bool {
		return r <= ' ' || r == '<' || r == '>' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029'
	}) < 0
}
