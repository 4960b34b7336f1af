package config

import (
	"errors"
	"net"
	"net/http"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/viva/rate-limiter/pkg/apikey"
)

// format is a form of text that settings name in their tag.
type format struct {
	want  string // in words, to follow "want"
	check func(text string) error
}

// form is a format whose every mistake is answered with what is wanted.
func form(want string, ok func(string) bool) format {
	return format{want: want, check: func(text string) error {
		if !ok(text) {
			return errors.New("want " + want)
		}
		return nil
	}}
}

var formats = map[string]format{
	"hostport": form("host:port, such as 127.0.0.1:8080", isHostPort),
	"server":   form("host:port, such as smtp.example.com:587", isServer),
	"mailbox":  form("an address such as alerts@example.com or Alerts <alerts@example.com>", isMailbox),
	"line":     form("text of one line", func(s string) bool { return s != "" && !strings.ContainsFunc(s, unicode.IsControl) }),
	"path":     form("a path", func(s string) bool { return s != "" && !strings.Contains(s, "\x00") }),
	"origin":   form("* or an origin such as https://app.example.com", isOrigin),
	"method":   form("an HTTP method in capitals, such as GET", regexp.MustCompile(`^[A-Z]{1,16}$`).MatchString),
	"header":   form("a header name, such as Content-Type", headerName.MatchString),
	"namespace": form("1 to 32 of a-z, 0-9, _ and -",
		regexp.MustCompile(`^[a-z0-9_-]{1,32}$`).MatchString),
	"prefix": form("at most 16 characters: words of a-z and 0-9 joined by _, beginning with a letter, none of them live or test",
		func(s string) bool { return apikey.CheckPrefix(s) == nil }),
	"name": form("a name of 1 to 128 visible characters without spaces at its ends",
		regexp.MustCompile(`^[\pL\pN\pP\pS]([\pL\pN\pP\pS ]{0,126}[\pL\pN\pP\pS])?$`).MatchString),
	"pepper": form("at least 32 bytes; `openssl rand -base64 32` makes them",
		func(s string) bool { return len(s) >= 32 }),
	"percent": form("a whole percentage from 1 to 1000, such as 80",
		regexp.MustCompile(`^([1-9][0-9]{0,2}|1000)$`).MatchString),
	"token": form("32 to 512 visible ASCII characters without spaces",
		regexp.MustCompile(`^[!-~]{32,512}$`).MatchString),
	"collector": form("a URL such as http://127.0.0.1:4318, without user, query or fragment", isCollector),
	"headers": form("headers such as authorization=Bearer x,tenant=a", func(s string) bool {
		_, err := ParseHeaders(s)
		return err == nil
	}),
	"postgres": {want: wantPostgres, check: checkPostgres},
	"redis": {want: wantRedis, check: func(text string) error {
		_, err := ParseRedisURL(text)
		return err
	}},
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

var hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?$`)

func isHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostname.MatchString(host)
}

func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isHostPort accepts an address to listen on; an empty host is every interface.
func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && isPort(port) && (host == "" || isHost(host))
}

// isServer accepts an address to connect to.
func isServer(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && isHost(host) && isPort(port) && strings.Trim(port, "0") != ""
}

// isCollector accepts where traces can be posted to. Secrets belong in headers:
// a URL is shown.
func isCollector(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && isHost(u.Hostname()) && (u.Port() == "" || isPort(u.Port())) &&
		u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// ParseHeaders reads headers written as name=value, with commas between them.
// Its error does not repeat them.
func ParseHeaders(text string) (http.Header, error) {
	headers := http.Header{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(pair, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || !headerName.MatchString(name) || value == "" || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, errors.New("want name=value, with commas between them")
		}
		headers.Add(name, value)
	}
	return headers, nil
}

// isMailbox accepts an address, with or without a name before it.
func isMailbox(text string) bool {
	_, err := mail.ParseAddress(text)
	return err == nil && !strings.ContainsFunc(text, unicode.IsControl)
}

func isOrigin(text string) bool {
	if text == "*" {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") &&
		isHost(u.Hostname()) && u.Scheme+"://"+u.Host == text
}
