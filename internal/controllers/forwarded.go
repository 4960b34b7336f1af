package controllers

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// family is a set of headers that gateways describe a call by.
type family struct{ method, uri string }

var (
	forwarded = family{"X-Forwarded-Method", "X-Forwarded-Uri"} // Caddy, Traefik
	original  = family{"X-Original-Method", "X-Original-Uri"}   // nginx, as documented
)

func (f family) present(h http.Header) bool { return len(h[f.method]) > 0 || len(h[f.uri]) > 0 }

// errUnreadable marks a call whose path or method cannot be matched with
// anything: too long, or not text. It is the caller's doing, not the gateway's.
var errUnreadable = errors.New("the call cannot be read")

// forwardedCheck reads the call that a gateway asks about.
func (a *api) forwardedCheck(c *gin.Context) (*validation.Check, error) {
	h := c.Request.Header
	check := &validation.Check{RequestID: models.ActorFrom(c.Request.Context()).RequestID, APIKey: presentedKey(h), Cost: 1, UserAgent: agent(h)}
	var endpoint string
	ok := true
	switch {
	case c.Param("path") != "":
		// Envoy appends the path of the call to ours: nothing a caller sends
		// could take its place.
		check.Method, endpoint = c.Request.Method, c.Param("path")
		check.IP = a.ForwardedFor(h, netip.Addr{})
	case forwarded.present(h) && original.present(h):
		return nil, headerError(original.uri, "must not come together with "+forwarded.uri+": a gateway sends one, and clears the other")
	case original.present(h):
		check.Method = h.Get(original.method)
		endpoint, ok = pathOf(h.Get(original.uri))
		check.IP = address(h.Values("X-Real-Ip"))
	default:
		check.Method = h.Get(forwarded.method)
		endpoint, ok = pathOf(h.Get(forwarded.uri))
		check.IP = a.ForwardedFor(h, netip.Addr{})
	}
	if !ok || hasControl(endpoint) || !utf8.ValidString(endpoint) ||
		utf8.RuneCountInString(endpoint) > validation.MaxEndpoint || len(check.Method) > maxMethod {
		return nil, errUnreadable
	}
	check.Method, check.Endpoint = strings.ToUpper(check.Method), normalPath(endpoint)
	return check, nil
}

// presentedKey gives what the caller presents as its key. Repeated headers make
// a string that is no key: the upstream might read another of them.
func presentedKey(h http.Header) string {
	if keys := h["X-Api-Key"]; len(keys) > 0 {
		return strings.Join(keys, ", ")
	}
	scheme, key, _ := strings.Cut(strings.Join(h["Authorization"], ", "), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(key)
}

// agent gives what the caller says it is, which gateways pass on; nothing where
// that is no text of bounded length: it decides nothing.
func agent(h http.Header) string {
	text := h.Get("User-Agent")
	if len(text) > validation.MaxUserAgent || !utf8.ValidString(text) || hasControl(text) {
		return ""
	}
	return text
}

// pathOf gives the decoded path of a URI, without its query and, where it is
// in absolute form, its origin.
func pathOf(uri string) (string, bool) {
	uri, _, _ = strings.Cut(uri, "?")
	if _, rest, ok := strings.Cut(uri, "://"); ok && !strings.HasPrefix(uri, "/") {
		_, rest, _ = strings.Cut(rest, "/")
		uri = "/" + rest
	}
	decoded, err := url.PathUnescape(uri)
	return decoded, err == nil
}

// normalPath gives the path that rules and restrictions are matched with:
// without dot segments and repeated slashes. An upstream resolves
// /public/../admin too, and a key that may call /public/** must not reach
// /admin by it.
func normalPath(decoded string) string {
	if decoded == "" {
		return ""
	}
	return path.Clean("/" + decoded)
}

func address(values []string) netip.Addr {
	if len(values) != 1 {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(values[0])
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func headerError(name, detail string) error {
	return apierror.Invalid(apierror.Field{In: apierror.Header, Name: name, Detail: detail})
}
