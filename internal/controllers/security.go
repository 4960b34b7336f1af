package controllers

import (
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/logging"
	"github.com/viva/rate-limiter/internal/models"
)

// How operations are secured is declared in the OpenAPI document and enforced
// from there: an operation's one security requirement names a scheme and at
// most one scope.
const (
	schemeBearer  = "bearer"
	schemeGateway = "gateway"
)

var securitySchemes = map[string]*huma.SecurityScheme{
	schemeBearer: {
		Type: "http", Scheme: "bearer",
		Description: "An access token. The role that an operation names is the scope the token must hold.",
	},
	schemeGateway: {
		Type: "apiKey", In: "header", Name: "X-Viva-Token",
		Description: "The access token of a gateway, whose requests carry the caller's own Authorization.",
	},
}

type security = []map[string][]string

// public opens an operation to everyone. Leaving security out does not: that
// is refused.
var public = security{}

func bearer(scope models.TokenScope) security {
	return security{{schemeBearer: {string(scope)}}}
}

// anyToken asks for a valid token, whatever its scopes.
var anyToken = security{{schemeBearer: {}}}

// accessHandlers gives the handlers that enforce what an operation declares.
func accessHandlers(guard Guard, op *huma.Operation) []gin.HandlerFunc {
	if op.Security == nil || len(op.Security) > 1 {
		panic(fmt.Sprintf("controllers: %s %s must declare its security", op.Method, op.Path))
	}
	var handlers []gin.HandlerFunc
	if len(op.Security) == 0 {
		handlers = append(handlers, loggedAsRequest)
	}
	for _, requirement := range op.Security {
		for scheme, scopes := range requirement {
			handlers = append(handlers, accessHandler(guard, scheme, scopes))
		}
	}
	if op.RequestBody != nil {
		handlers = append(handlers, guard.BodyCap(op.MaxBodyBytes))
	}
	return handlers
}

// loggedAsRequest has lines of the log carry the request's id where no guard
// does, which has to copy the request anyway.
func loggedAsRequest(c *gin.Context) {
	c.Request = c.Request.WithContext(logging.WithRequest(c.Request.Context(), c.Writer.Header().Get("X-Request-Id")))
}

func accessHandler(guard Guard, scheme string, scopes []string) gin.HandlerFunc {
	var scope models.TokenScope
	if len(scopes) > 0 {
		scope = models.TokenScope(scopes[0])
	}
	switch scheme {
	case schemeBearer:
		return guard.Bearer(scope)
	case schemeGateway:
		return guard.Gateway(scope)
	default:
		panic(fmt.Sprintf("controllers: no security scheme %q", scheme))
	}
}
