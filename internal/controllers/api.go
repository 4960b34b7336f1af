// Package controllers is the HTTP API: every handler, the wire types, which
// stay private to it, and the OpenAPI document made from them.
//
// Gin carries the routes and Huma declares them. Before Huma binds a request,
// gate.go checks every part of it against the schemas of its operation, so
// that what is documented is what is accepted, byte for byte. Handlers return
// errors as services made them; they are recorded in the Gin context, for the
// middleware that turns errors into problems.
//
// Floor F3. It may import models, services and the packages of floor F0.
package controllers

//go:generate go test . -run TestTheOpenAPIDocumentIsUpToDate -update

import (
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/access"
	"github.com/viva/rate-limiter/internal/services/alerts"
	"github.com/viva/rate-limiter/internal/services/audit"
	"github.com/viva/rate-limiter/internal/services/jobs"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/internal/services/notifications"
	"github.com/viva/rate-limiter/internal/services/owners"
	"github.com/viva/rate-limiter/internal/services/plans"
	"github.com/viva/rate-limiter/internal/services/privacy"
	"github.com/viva/rate-limiter/internal/services/usage"
	"github.com/viva/rate-limiter/internal/services/validation"
)

// Guard gives the handlers that stand before an operation.
type Guard interface {
	// Bearer lets callers in whose Authorization: Bearer token holds the scope;
	// any valid token where the scope is empty.
	Bearer(scope models.TokenScope) gin.HandlerFunc
	// Gateway does the same for the token in X-Viva-Token.
	Gateway(scope models.TokenScope) gin.HandlerFunc
	// BodyCap lets bodies of at most so many bytes through.
	BodyCap(bytes int64) gin.HandlerFunc
}

// Deps is what the API is made of; all of it is needed, except Probes.
type Deps struct {
	Version string // of the program
	Now     func() time.Time
	Guard   Guard

	Keys       *keys.Service
	Owners     *owners.Service
	Plans      *plans.Service
	Privacy    *privacy.Service
	Access     *access.Service
	Audit      *audit.Service
	Alerts     *alerts.Service
	Jobs       *jobs.Service
	Validation *validation.Service
	// Notifications keeps destinations and deliveries.
	Notifications *notifications.Service
	// Settler and Reports are nil where metering is switched off.
	Settler   *validation.Settler
	Reports   *usage.Reports
	Snapshots usage.Subjects
	Usage     *usage.Service

	// Token gives the access token that let a request in.
	Token TokenSource
	// ForwardedFor gives the client that a gateway vouches for.
	ForwardedFor ClientSource
	Idempotency  IdempotencyStore
	// IdempotencyKeep is how long the answer to an Idempotency-Key is kept.
	IdempotencyKeep time.Duration
	Probes          []Probe
	LogLevel        LogLevel

	MaxBodyBytes int64 // of an operation without a larger cap of its own
	Docs         bool  // serve /docs and /openapi.json
}

// api is where operations are registered and what their handlers need.
type api struct {
	Deps
	huma   huma.API
	engine *gin.Engine
}

// New registers every operation on the engine, which answers errors recorded
// in its contexts with problems. It panics if an operation is declared wrong.
func New(engine *gin.Engine, deps Deps) *huma.OpenAPI {
	a := newAPI(engine, deps)
	a.registerHealth()
	a.registerChecks()
	a.registerAuthorize()
	a.registerKeys()
	a.registerKeyActions()
	a.registerKeyspaces()
	a.registerOwners()
	a.registerPlans()
	a.registerAccess()
	a.registerAudit()
	a.registerReports()
	a.registerPrivacy()
	a.registerUsage()
	a.registerAlerts()
	a.registerAlertRules()
	a.registerMaintenanceWindows()
	a.registerDestinations()
	a.registerDeliveries()
	a.registerQueues()
	a.registerLogLevel()
	if deps.Docs {
		a.registerDocs()
	}
	return a.huma.OpenAPI()
}

// NewHealth registers the health checks alone, for a process without the API.
// It needs Version, Now and Probes.
func NewHealth(engine *gin.Engine, deps Deps) {
	newAPI(engine, deps).registerHealth()
}

func newAPI(engine *gin.Engine, deps Deps) *api {
	settleHuma()
	a := &api{Deps: deps, engine: engine}
	a.huma = huma.NewAPI(config(), adapter{engine: engine, guard: deps.Guard})
	a.huma.UseMiddleware(a.gate)
	return a
}

// prefix is the path of the API's first version.
const prefix = "/api/v1"

// Tags group operations in the documentation.
const (
	tagChecks    = "Checks"
	tagKeys      = "Keys"
	tagKeyspaces = "Keyspaces"
	tagOwners    = "Owners"
	tagPlans     = "Plans"
	tagUsage     = "Usage"
	tagAlerts    = "Alerts"
	tagAccess    = "Access"
	tagProcess   = "Process"
	tagHealth    = "Health"
)

// apiVersion is the version of the interface, not of the program.
const apiVersion = "1"

func config() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Viva Rate Limiter",
				Version: apiVersion,
				Description: "API keys, rate limits and quotas around one question: may the holder of this key make this call now?\n\n" +
					"Every error is an RFC 9457 problem whose `code` programs may branch on. New members and new codes may appear; " +
					"nothing disappears within v1.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas:         newRegistry(),
				SecuritySchemes: securitySchemes,
			},
			Tags: []*huma.Tag{
				{Name: tagChecks, Description: "May this call be made?"},
				{Name: tagKeys, Description: "API keys and their secrets"},
				{Name: tagKeyspaces, Description: "The API products that keys open"},
				{Name: tagOwners, Description: "The accounts that pay, and whose keys share limits"},
				{Name: tagPlans, Description: "The offers that owners are on"},
				{Name: tagUsage, Description: "What was used, and what is left"},
				{Name: tagAlerts, Description: "What people are to look at, and the rules that find it"},
				{Name: tagNotifications, Description: "Who is told of events, and what was sent"},
				{Name: tagAccess, Description: "Access tokens, and the record of changes"},
				{Name: tagQueues, Description: "Background jobs, and what failed of them"},
				{Name: tagProcess, Description: "How one process runs"},
				{Name: tagHealth, Description: "Is the service up?"},
			},
		},
		Formats:       formats,
		DefaultFormat: mediaJSON,
	}
}
