package controllers

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/validation"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// ClientSource gives the client that a gateway vouches for: the nearest
// address in X-Forwarded-For that is no trusted proxy, or the fallback.
type ClientSource func(header http.Header, fallback netip.Addr) netip.Addr

// authorizeMethods are what a gateway may ask by: some forward the method of
// the call itself.
var authorizeMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace, http.MethodConnect, "QUERY", "SEARCH", "REPORT",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK",
}

// registerAuthorize serves the check for gateways outside of Huma, which knows
// no operation of all methods, and documents it as GET.
func (a *api) registerAuthorize() {
	op := &huma.Operation{
		OperationID: "authorize", Method: http.MethodGet, Path: prefix + "/authorize", Tags: []string{tagChecks},
		Summary: "Check a call for a gateway",
		Description: "Takes every method. The answer is the status: 200 allowed, 401, 403 or 429 refused, with `X-Viva-Code` and " +
			"rate-limit headers and an empty body. The key comes in `X-Api-Key` or `Authorization: Bearer`. The call comes in " +
			"`X-Forwarded-Method`, `X-Forwarded-Uri` and `X-Forwarded-For` (Caddy, Traefik), or in `X-Original-Method`, " +
			"`X-Original-URI` and `X-Real-IP` (nginx), or as the method and the rest of the path of `/api/v1/authorize/…` itself (Envoy). " +
			"Headers of both families are refused: one of them would be the caller's own.",
		Security: security{{schemeGateway: {string(models.ScopeChecksWrite)}}},
		Parameters: []*huma.Param{{
			Name: "deny_status", In: "query", Description: "The status that stands for 429, which nginx would turn into 500",
			Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: number(400), Maximum: number(499)},
		}},
		Responses: authorizeResponses(),
	}
	handlers := append(accessHandlers(a.Guard, op), a.authorize(op))
	for _, method := range authorizeMethods {
		a.engine.Handle(method, op.Path, handlers...)
		a.engine.Handle(method, op.Path+"/*path", handlers...)
	}
	a.huma.OpenAPI().AddOperation(op)
}

func (a *api) authorize(op *huma.Operation) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := a.inspectParameters(c, op); err != nil && !appended(c) {
			fail(c, err)
			return
		}
		check, err := a.forwardedCheck(c)
		if errors.Is(err, errUnreadable) {
			answerGateway(c, &validation.Answer{Code: validation.EndpointDenied, Tightest: -1})
			return
		}
		if err != nil {
			fail(c, err)
			return
		}
		answer, err := a.Validation.Validate(c.Request.Context(), check)
		if err != nil {
			fail(c, err)
			return
		}
		answerGateway(c, &answer)
	}
}

// appended tells whether the gateway has appended the path of the call to ours:
// the query is then the call's own, and asks nothing of us.
func appended(c *gin.Context) bool { return c.Param("path") != "" }

func answerGateway(c *gin.Context, answer *validation.Answer) {
	h := c.Writer.Header()
	var limits limitHeaders
	limits.of(answer)
	limits.set(h)
	h.Set("X-Viva-Code", string(answer.Code))
	if answer.Allowed {
		h.Set("X-Viva-Key-Id", string(answer.Snapshot.Key.ID))
		h.Set("X-Viva-Owner", headerText(answer.Snapshot.Owner.Ref()))
	}
	status := answerStatus(answer)
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	// The parameter was checked against its schema.
	if deny, err := strconv.Atoi(c.Query("deny_status")); err == nil && status == http.StatusTooManyRequests && !appended(c) {
		status = deny
	}
	c.Status(status)
}

// answerStatus says as a status what a gateway is to do. Codes it does not
// know refuse.
func answerStatus(answer *validation.Answer) int {
	switch answer.Code {
	case validation.KeyMalformed, validation.KeyUnknown, validation.KeyRevoked, validation.KeyExpired:
		return http.StatusUnauthorized
	case validation.RateLimited, validation.QuotaExceeded:
		return http.StatusTooManyRequests
	}
	if answer.Allowed {
		return http.StatusOK
	}
	return http.StatusForbidden
}

// headerText writes text as the value of a header: what is not printable ASCII
// is percent-encoded.
func headerText(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' }) < 0 {
		return s
	}
	return url.PathEscape(s)
}

func authorizeResponses() map[string]*huma.Response {
	text := func(description string) *huma.Param {
		return &huma.Param{Description: description, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	limits := func(more map[string]*huma.Param) map[string]*huma.Param {
		headers := map[string]*huma.Param{
			"RateLimit":             text(`What is left by rule: "per-minute";r=42;t=17`),
			"RateLimit-Policy":      text(`The rules: "per-minute";q=100;w=60`),
			"X-RateLimit-Limit":     text("The most that the tightest rule ever has: its limit, or its burst"),
			"X-RateLimit-Remaining": text("What is left of it"),
			"X-RateLimit-Reset":     text("When there is more, in seconds since 1970"),
			"X-Viva-Code":           text("The code of the answer"),
		}
		for name, header := range more {
			headers[name] = header
		}
		return headers
	}
	problem := map[string]*huma.MediaType{apierror.ContentType: {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}}
	return map[string]*huma.Response{
		"200": {Description: "Allowed", Headers: limits(map[string]*huma.Param{
			"X-Viva-Key-Id": text("Id of the key"), "X-Viva-Owner": text("External id of the owner, or its id"),
		})},
		"401": {Description: "The key is malformed, unknown, revoked or expired; or the gateway's own token is refused (a problem)"},
		"403": {Description: "The key is suspended, or may not make this call; or the gateway's own token lacks the scope (a problem)"},
		"429": {Description: "The limits refuse the call", Headers: limits(map[string]*huma.Param{
			"Retry-After": text("Seconds until the call is allowed"),
		})},
		"default": {Description: "The call could not be decided", Content: problem},
	}
}

func number(n float64) *float64 { return &n }
