package middleware

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// Tokens finds the valid access token that a caller presents, or refuses with
// [apierror.CodeUnauthorized]. It stands before every call.
type Tokens interface {
	Authenticate(ctx context.Context, presented string, now time.Time) (*models.AccessToken, error)
}

// Authentication lets callers in whose access token holds the scope that an
// operation asks for, and puts them into the request's context: see
// [models.ActorFrom] and [TokenFrom].
type Authentication struct {
	tokens   Tokens
	failures *failures
	proxies  Proxies
	now      func() time.Time
	refused  atomic.Int64
}

// Refused counts the requests refused for a missing or wrong token, or because
// their address had sent too many.
func (a *Authentication) Refused() int64 { return a.refused.Load() }

// NewAuthentication makes the guard. The limiter's counters are its own.
func NewAuthentication(tokens Tokens, limiter Limiter, limit FailureLimit, proxies Proxies, now func() time.Time) *Authentication {
	return &Authentication{tokens: tokens, failures: newFailures(limiter, limit), proxies: proxies, now: now}
}

// Bearer lets callers in by Authorization: Bearer. An empty scope asks for any
// valid token.
func (a *Authentication) Bearer(scope models.TokenScope) gin.HandlerFunc {
	return a.require(bearer, scope)
}

// Gateway lets gateways in by X-Viva-Token: what they forward has their
// client's own Authorization.
func (a *Authentication) Gateway(scope models.TokenScope) gin.HandlerFunc {
	return a.require(func(h http.Header) string { return single(h["X-Viva-Token"]) }, scope)
}

// BodyCap is the package's [BodyCap], so that operations find all their guards
// in one place.
func (a *Authentication) BodyCap(bytes int64) gin.HandlerFunc { return BodyCap(bytes) }

func (a *Authentication) require(presented func(http.Header) string, scope models.TokenScope) gin.HandlerFunc {
	missing := apierror.Newf(apierror.CodeForbidden, "The token does not hold the scope %s", scope)
	return func(c *gin.Context) {
		ip := a.proxies.ClientIP(c.Request)
		ctx := logging.WithRequest(c.Request.Context(), requestID(c.Writer.Header()))
		token, err := a.authenticate(ctx, presented(c.Request.Header), ip)
		if err != nil {
			if code := apierror.CodeOf(err); code == apierror.CodeUnauthorized || code == apierror.CodeRateLimited {
				a.refused.Add(1)
			}
			fail(c, err)
			return
		}
		ctx = models.WithActor(ctx, models.Actor{
			Kind: "token", ID: string(token.ID), Name: token.Name,
			IP: ip.String(), RequestID: requestID(c.Writer.Header()),
		})
		c.Request = c.Request.WithContext(context.WithValue(ctx, tokenKey{}, token))
		if scope != "" && !token.Holds(scope) {
			fail(c, missing)
		}
	}
}

func (a *Authentication) authenticate(ctx context.Context, presented string, ip netip.Addr) (*models.AccessToken, error) {
	if presented == "" {
		return nil, apierror.New(apierror.CodeUnauthorized, "This needs an access token")
	}
	hash := apikey.Sum(presented)
	if err := a.failures.admit(ctx, ip, hash); err != nil {
		return nil, err
	}
	token, err := a.tokens.Authenticate(ctx, presented, a.now())
	switch {
	case err == nil:
		a.failures.trust(hash)
	case apierror.CodeOf(err) == apierror.CodeUnauthorized:
		a.failures.count(ctx, ip)
	}
	return token, err
}

// bearer reads Authorization. Two of them are none: what stands between may
// have read the other.
func bearer(h http.Header) string {
	scheme, token, _ := strings.Cut(single(h["Authorization"]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func single(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

type tokenKey struct{}

// TokenFrom gives the access token that let the request in.
func TokenFrom(ctx context.Context) (*models.AccessToken, bool) {
	token, ok := ctx.Value(tokenKey{}).(*models.AccessToken)
	return token, ok
}
