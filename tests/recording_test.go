//go:build journeys

package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// A recording is what was asked of a process and what it answered, with everything masked that differs from one
// installation to the next: ids, secrets, times. Two installations that behave alike make the same recording.
type recording struct {
	*client
	calls   *[]string
	names   map[string]string // of what was masked, by order of appearance
	secrets map[string]bool   // everything that must never be in a log
}

func record(c *client) *recording {
	return &recording{client: c, calls: new([]string), names: map[string]string{}, secrets: map[string]bool{c.token: true}}
}

// as records what the same process answers to another token.
func (r *recording) as(token string) *recording {
	other := *r
	other.client = r.client.as(token)
	return &other
}

// Each expression masks what its first group matches.
var varying = []struct {
	kind    string
	number  bool // tell one from another
	pattern *regexp.Regexp
}{
	{"secret", true, regexp.MustCompile(`\b([a-z0-9_]+_(?:live|test)_[0-9A-Za-z]{38})\b`)},
	{"token", true, regexp.MustCompile(`\b(vivat_[0-9A-Za-z]{38})\b`)},
	{"tail", false, regexp.MustCompile(`(?:_(?:live|test)|vivat)_…([0-9A-Za-z]{4})\b`)},
	{"id", true, regexp.MustCompile(`\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b`)},
	// It comes into the database a moment after the answer.
	{"usage", false, regexp.MustCompile(`"(?:last_used_at|total_requests|total_units)":(null|"[^"]*"|\d+)`)},
	{"time", false, regexp.MustCompile(`\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)`)},
	{"ms", false, regexp.MustCompile(`"(?:reset_after_ms|retry_after_ms)":(\d+)`)},
	{"seconds", false, regexp.MustCompile(`(?m)(?:;t=|"?Retry-After"?: ?"?|"?X-Ratelimit-Reset"?: ?"?|"?X-RateLimit-Reset"?: ?"?)(\d+)`)},
	{"digest", false, regexp.MustCompile(`(?m)^(?:Etag|If-Match|If-None-Match): "\d+-([0-9a-f]{16})"`)},
	{"sum of ids", false, regexp.MustCompile(`"sha256":"([0-9a-f]{64})"`)},
	{"cursor", true, regexp.MustCompile(`(?:cursor=|"next_cursor":")([0-9A-Za-z_-]+)`)},
}

func (r *recording) mask(text string) string {
	for _, v := range varying {
		text = replaceGroup(v.pattern, text, func(found string) string {
			if !v.number {
				return "<" + v.kind + ">"
			}
			if r.names[found] == "" {
				r.names[found] = fmt.Sprintf("<%s %d>", v.kind, len(r.names)+1)
			}
			return r.names[found]
		})
	}
	return text
}

// replaceGroup replaces what the first group of each match holds.
func replaceGroup(pattern *regexp.Regexp, text string, by func(string) string) string {
	var b strings.Builder
	end := 0
	for _, at := range pattern.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[end:at[2]])
		b.WriteString(by(text[at[2]:at[3]]))
		end = at[3]
	}
	b.WriteString(text[end:])
	return b.String()
}

// call makes a call that must be answered with that status, and records both.
func (r *recording) call(status int, method, path string, body any, headers ...string) answer {
	r.t.Helper()
	got := r.client.call(status, method, path, body, headers...)
	r.keep(got, method, path, body, headers...)
	return got
}

func (r *recording) keep(got answer, method, path string, body any, headers ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", method, path)
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&b, "\n%s: %s", headers[i], headers[i+1])
	}
	if body != nil {
		text, ok := body.(string)
		if !ok {
			data, err := json.Marshal(body)
			require.NoError(r.t, err)
			text = string(data)
		}
		fmt.Fprintf(&b, "\n%s", text)
	}
	fmt.Fprintf(&b, "\n\n%d\n%s\n%s", got.status, headerLines(got.header), sortedMembers(got))
	for _, kind := range varying[:2] {
		for _, found := range kind.pattern.FindAllString(b.String(), -1) {
			r.secrets[found] = true
		}
	}
	*r.calls = append(*r.calls, r.mask(b.String()))
}

// sortedMembers is the body with the members of its objects in order: theirs means nothing, and PostgreSQL does not
// keep that of stored objects.
func sortedMembers(got answer) string {
	var body any
	decoder := json.NewDecoder(bytes.NewReader(got.body))
	decoder.UseNumber()
	if !strings.HasSuffix(got.header.Get("Content-Type"), "json") || decoder.Decode(&body) != nil {
		return string(got.body)
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // was JSON a moment ago
	return b.String()
}

// headerLines are the headers of an answer but those that are the connection's.
func headerLines(header http.Header) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name != "Date" && name != "Content-Length" && name != "X-Request-Id" {
			lines = append(lines, name+": "+strings.Join(header[name], " | "))
		}
	}
	return strings.Join(lines, "\n")
}

// decide makes a check, and records it.
func (r *recording) decide(check object) decision {
	r.t.Helper()
	return into[decision](r.t, r.call(200, "POST", "/api/v1/validate", check))
}

// until asks, without spending, until a change made just now shows, and records the answer.
func (r *recording) until(code, secret string) {
	r.t.Helper()
	eventually(r.t, time.Second, func() error { return r.says(code, secret) })
	r.decide(object{"api_key": secret, "cost": 0})
}
