package controllers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/viva/rate-limiter/internal/controllers"
	"github.com/viva/rate-limiter/internal/metrics"
	"github.com/viva/rate-limiter/internal/middleware"
	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
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
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

// start is when the tests' clock begins: a little past a full minute.
var start = time.Date(2026, 3, 10, 12, 0, 3, 250_000_000, time.UTC)

// server is the whole API over services and a SQLite file, without caches.
type server struct {
	*gin.Engine
	t       testing.TB
	db      *repositories.DB
	path    string // of the database
	now     atomic.Pointer[time.Time]
	log     *observer.ObservedLogs
	openAPI *huma.OpenAPI
	access  *access.Service
	token   string // of an admin
	probes  []controllers.Probe
	source  *source
	sender  sender
	// What set-log-level was last told.
	logLevel logLevel
	queues   *queue.Inspector
	// What benchmarks answer from in place of the database.
	unobserved bool
	untold     bool              // without metrics
	tracer     middleware.Tracer // nil traces nothing
	warm       atomic.Pointer[cached]
	warmToken  atomic.Pointer[models.AccessToken]
}

type option func(*server)

func withProbes(probes ...controllers.Probe) option {
	return func(s *server) { s.probes = probes }
}

func newServer(t testing.TB, options ...option) *server {
	t.Helper()
	s := &server{Engine: gin.New(), t: t}
	for _, o := range options {
		o(s)
	}
	s.now.Store(&start)
	s.path = filepath.Join(t.TempDir(), "viva.db")
	db, err := repositories.OpenSQLite(t.Context(), s.path, repositories.Options{Clock: s.clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Migrate(t.Context()))
	s.db = db
	embedded, err := queue.OpenEmbedded()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, embedded.Close()) })
	s.queues = queue.NewInspector(embedded.Client(), "viva")
	s.wire()
	s.token = s.newToken(models.ScopeAdmin)
	return s
}

func (s *server) clock() time.Time {
	if s.unobserved {
		return time.Now() // at its price
	}
	return *s.now.Load()
}

func (s *server) advance(d time.Duration) {
	now := s.clock().Add(d)
	s.now.Store(&now)
}

func (s *server) wire() {
	db := s.db
	keyStore, ownerStore := repositories.NewKeys(db), repositories.NewOwners(db)
	planStore, keyspaceStore := repositories.NewPlans(db), repositories.NewKeyspaces(db)
	auditing := audit.New(repositories.NewAudit(db), s.clock)
	changes := changes{db, auditing}
	limits := validation.Embedded{Store: ratelimit.NewMemory(ratelimit.WithClock(s.clock))}
	s.source = &source{server: s, keys: keyStore, keyspaces: keyspaceStore}
	s.access = access.New(repositories.NewTokens(db), tokenSource{s, repositories.NewTokens(db)}, changes, s.clock)
	var core zapcore.Core
	if core, s.log = observer.New(zap.DebugLevel); s.unobserved {
		// As in production, but for the system call.
		core = zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel)
	}
	var proxies middleware.Proxies
	guard := middleware.NewAuthentication(s.access, ratelimit.NewMemory(ratelimit.WithClock(s.clock)),
		middleware.FailureLimit{Limit: 1000, Window: time.Minute}, proxies, s.clock)
	installed := middleware.Options{Log: zap.New(core), Tracer: s.tracer, Now: s.clock, Proxies: proxies, Security: middleware.Security{Enabled: true}}
	checks := validation.Deps{Keys: s.source, Limits: limits, Stated: limits, Now: s.clock}
	if !s.untold {
		installed.Requests, checks.Observer = metrics.NewRequests(), metrics.NewChecks(s.clock)
	}
	middleware.Install(s.Engine, installed)
	s.openAPI = controllers.New(s.Engine, controllers.Deps{
		Version: "test", Now: s.clock, Guard: guard,
		Keys: keys.New(keys.Deps{
			Store: keyStore, Lists: keyStore, Secrets: keyStore, Keyspaces: keyspaceStore, KeyspaceStore: keyspaceStore,
			Owners: ownerStore, Plans: planStore, Usage: repositories.NewActivity(db), Limits: limits, Changes: changes,
			DefaultPlan: "free", DefaultPrefix: "viva", Now: s.clock,
		}),
		Owners: owners.New(ownerStore, ownerStore, planStore, changes, "free", s.clock),
		Plans:  plans.New(planStore, planStore, changes, s.clock),
		Privacy: privacy.New(privacy.Deps{
			Keys: keyStore, Owners: ownerStore, Data: repositories.NewPrivacy(db), Changes: changes, Now: s.clock,
		}),
		Notifications: notifications.New(notifications.Deps{
			Destinations: repositories.NewDestinations(db), Deliveries: repositories.NewDeliveries(db), Notices: repositories.NewNotices(db),
			Owners: ownerStore, Jobs: repositories.NewJobs(db), Changes: changes, Sender: &s.sender, Checker: &s.sender,
			GroupWait: 2 * time.Second, DisableAfter: 72 * time.Hour, Now: s.clock, Random: func() float64 { return 0.5 },
		}),
		Access: s.access,
		Alerts: alerts.New(alerts.Deps{
			Rules: repositories.NewAlertRules(db), Alerts: repositories.NewAlerts(db), Windows: repositories.NewMaintenanceWindows(db),
			Causes: repositories.NewAlertCauses(db), Notices: repositories.NewNotices(db), Streams: repositories.NewStreams(db),
			Owners: ownerStore, Keys: keyStore, Plans: planStore, Changes: changes, Now: s.clock,
		}),
		Audit:      auditing,
		Jobs:       jobs.New(repositories.NewJobs(db), s.queues, changes),
		Validation: validation.New(checks),
		Usage: usage.New(usage.Deps{
			Usage: repositories.NewUsage(db), Logs: repositories.NewUsageLogs(db), Violations: repositories.NewViolations(db),
			Progress: repositories.NewStreams(db), Keys: keyStore, Owners: ownerStore, Plans: planStore, Now: s.clock,
		}),
		Token: middleware.TokenFrom, ForwardedFor: proxies.ForwardedFor,
		Idempotency: struct {
			*repositories.DB
			repositories.Idempotency
		}{db, repositories.NewIdempotency(db)},
		LogLevel:        &s.logLevel,
		IdempotencyKeep: 24 * time.Hour, Probes: s.probes, MaxBodyBytes: 1 << 20, Docs: true,
	})
}

type changes struct {
	*repositories.DB
	audit *audit.Service
}

func (c changes) Record(ctx context.Context, list ...models.Change) error {
	return c.audit.Record(ctx, list...)
}

type tokenSource struct {
	server *server
	tokens repositories.Tokens
}

func (s tokenSource) Token(ctx context.Context, hash apikey.Hash, _ time.Time) (*models.AccessToken, error) {
	if token := s.server.warmToken.Load(); token != nil {
		return token, nil
	}
	return s.tokens.FindByHash(ctx, hash)
}

// source reads keys from the database, or fails.
type source struct {
	server    *server
	keys      repositories.Keys
	keyspaces repositories.Keyspaces
	fail      error
}

func (s *source) Directory(ctx context.Context, _ time.Time) (*models.Directory, error) {
	if warm := s.server.warm.Load(); warm != nil {
		return warm.directory, nil
	}
	all, err := s.keyspaces.All(ctx)
	return models.NewDirectory(all), err
}

func (s *source) Snapshot(ctx context.Context, hash apikey.Hash, _ time.Time) (*models.Snapshot, error) {
	if warm := s.server.warm.Load(); warm != nil {
		return warm.snapshot, nil
	}
	if s.fail != nil {
		return nil, s.fail
	}
	return s.keys.Snapshot(ctx, []apikey.Hash{hash})
}

func (s *server) newToken(scopes ...models.TokenScope) string {
	s.t.Helper()
	_, secret, err := s.access.Create(s.t.Context(), access.NewToken{Name: "test", Scopes: scopes})
	require.NoError(s.t, err)
	return secret.Reveal()
}

// answer is what a request got.
type answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// do sends a request as an admin, and as a gateway; headers are name, value, …,
// and override.
func (s *server) do(method, target, body string, headers ...string) answer {
	s.t.Helper()
	r := s.request(method, target, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return s.send(r)
}

func (s *server) request(method, target, body string) *http.Request {
	r := httptest.NewRequestWithContext(s.t.Context(), method, target, bytes.NewReader([]byte(body)))
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("X-Viva-Token", s.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (s *server) send(r *http.Request) answer {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return answer{w, s.t}
}

// is checks the status.
func (a answer) is(status int) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.Code, a.Body.String())
	return a
}

// object reads the body as a JSON object.
func (a answer) object() map[string]any {
	a.t.Helper()
	var v map[string]any
	require.NoError(a.t, json.Unmarshal(a.Body.Bytes(), &v), a.Body.String())
	return v
}

// text reads a member of the body that is a string.
func (a answer) text(name string) string {
	a.t.Helper()
	text, ok := a.object()[name].(string)
	require.True(a.t, ok, "no text %q in %s", name, a.Body.String())
	return text
}

// problem checks that the body is a problem and gives its code and fields, as
// "in field".
func (a answer) problem() (code string, fields []string) {
	a.t.Helper()
	require.Equal(a.t, "application/problem+json", a.Header().Get("Content-Type"), a.Body.String())
	p := a.object()
	require.EqualValues(a.t, a.Code, p["status"])
	require.Equal(a.t, a.Header().Get("X-Request-Id"), p["request_id"])
	list, _ := p["errors"].([]any)
	for _, each := range list {
		field := each.(map[string]any)
		fields = append(fields, field["in"].(string)+" "+field["field"].(string))
	}
	return p["code"].(string), fields
}

// newKey creates a key with the given members besides its name.
func (s *server) newKey(members string) (id, secret string) {
	s.t.Helper()
	if members != "" {
		members = "," + members
	}
	a := s.do(http.MethodPost, "/api/v1/keys", `{"name":"Checkout"`+members+`}`).is(http.StatusCreated)
	return a.text("id"), a.text("secret")
}
