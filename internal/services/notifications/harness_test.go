package notifications_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/notifications"
	"github.com/viva/rate-limiter/internal/testenv"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// world is the service over a real database, with a clock that stands still
// until a test moves it, and a sender that does as it is told.
type world struct {
	*notifications.Service
	t       testing.TB
	db      *repositories.DB
	jobs    repositories.Jobs
	notices repositories.Notices
	owners  repositories.Owners
	changes *repotest.Changes
	sender  *sender
	random  float64

	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB) *world {
	return worldOver(t, func(o repositories.Options) (*repositories.DB, error) {
		return repositories.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "viva.db"), o)
	})
}

// eachEngine runs a test of what processes do at the same time on both engines.
func eachEngine(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("postgres", func(t *testing.T) {
		url := testenv.Postgres(t)
		test(t, worldOver(t, func(o repositories.Options) (*repositories.DB, error) {
			return repositories.OpenPostgres(t.Context(), url, o)
		}))
	})
}

func worldOver(t testing.TB, open func(repositories.Options) (*repositories.DB, error)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC), random: 0.5}
	w.db = repotest.Migrated(t, w.clock, open)
	w.jobs, w.notices, w.owners = repositories.NewJobs(w.db), repositories.NewNotices(w.db), repositories.NewOwners(w.db)
	w.changes = repotest.NewChanges(w.db, w.clock)
	w.sender = &sender{answer: func(call) models.Sent { return models.Sent{Delivered: true, Status: 204, Request: "POST"} }}
	w.Service = notifications.New(notifications.Deps{
		Destinations: repositories.NewDestinations(w.db), Deliveries: repositories.NewDeliveries(w.db), Notices: w.notices,
		Owners: w.owners, Jobs: w.jobs, Changes: w.changes, Sender: w.sender, Checker: w.sender,
		GroupWait: 2 * time.Second, DisableAfter: 72 * time.Hour, Now: w.clock, Random: func() float64 { return w.random },
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// call is one attempt that reached the sender.
type call struct {
	number  int // from 1
	secret  string
	before  string // the previous secret
	to      string
	message models.Message
}

type sender struct {
	mu     sync.Mutex
	calls  []call
	answer func(call) models.Sent
}

func (s *sender) Send(_ context.Context, d *models.Destination, to string, m *models.Message) models.Sent {
	s.mu.Lock()
	c := call{len(s.calls) + 1, d.Secret, d.SecretPrevious, to, *m}
	s.calls = append(s.calls, c)
	answer := s.answer
	s.mu.Unlock()
	return answer(c)
}

func (s *sender) Check(v *apierror.Validator, d *models.Destination) {
	v.Check(d.URL != "bad", "url", "must be a URL")
}

func fails(status int) func(call) models.Sent {
	return func(call) models.Sent { return models.Sent{Status: status, Error: fmt.Sprintf("HTTP %d", status)} }
}

func (w *world) create(change ...func(*notifications.NewDestination)) models.Destination {
	w.t.Helper()
	n := notifications.NewDestination{Name: "hook-" + fmt.Sprint(time.Now().UnixNano()), Type: models.DestinationWebhook, URL: "https://example.com/hook"}
	for _, c := range change {
		c(&n)
	}
	d, _, err := w.Create(w.t.Context(), n)
	require.NoError(w.t, err)
	return d
}

// tell writes notices of an event, each of its own.
func (w *world) tell(n int, e models.Event, to ...models.DestinationID) {
	w.t.Helper()
	if e.Type == "" {
		e.Type, e.Severity = models.EventAlertActive, models.SeverityWarning
	}
	list := make([]models.Notice, n)
	for i := range list {
		list[i] = models.Notice{DedupKey: string(models.NewID[models.NoticeID]()), Event: e, Destinations: to}
	}
	require.NoError(w.t, w.notices.Add(w.t.Context(), list...))
}

// plan waits until a burst is over and plans.
func (w *world) plan() {
	w.t.Helper()
	w.advance(2 * time.Second)
	again, err := w.Plan(w.t.Context(), "")
	require.NoError(w.t, err)
	require.Zero(w.t, again)
}

func (w *world) all(f notifications.Filter) []models.Delivery {
	w.t.Helper()
	list, err := w.Sent(w.t.Context(), f, models.Page{Limit: 1000, Sort: "created_at"})
	require.NoError(w.t, err)
	return list
}

// only gives the one delivery there is to a destination.
func (w *world) only(d models.Destination) models.Delivery {
	w.t.Helper()
	list := w.all(notifications.Filter{Destination: string(d.ID)})
	require.Len(w.t, list, 1)
	return list[0]
}

func (w *world) deliver(id models.DeliveryID) time.Duration {
	w.t.Helper()
	again, err := w.Deliver(w.t.Context(), string(id))
	require.NoError(w.t, err)
	return again
}

func (w *world) view(id models.DeliveryID) notifications.View {
	w.t.Helper()
	v, err := w.Delivery(w.t.Context(), id)
	require.NoError(w.t, err)
	return v
}

func (w *world) find(d models.Destination) models.Destination {
	w.t.Helper()
	found, err := w.Find(w.t.Context(), string(d.ID))
	require.NoError(w.t, err)
	return found
}

func (w *world) owner(email string) models.Owner {
	w.t.Helper()
	plan, err := repositories.NewPlans(w.db).Find(w.t.Context(), "free")
	require.NoError(w.t, err)
	o := models.Owner{
		ID: models.NewID[models.OwnerID](), Email: email, PlanID: plan.ID, TimeZone: "UTC", AnchorDay: 1, Version: 1,
		CreatedAt: w.clock(), UpdatedAt: w.clock(),
	}
	require.NoError(w.t, w.owners.Create(w.t.Context(), &o))
	return o
}

func badFields(t testing.TB, err error) []string {
	t.Helper()
	require.ErrorIs(t, err, apierror.CodeValidationFailed)
	known, ok := apierror.As(err)
	require.True(t, ok)
	var names []string
	for _, f := range known.Fields {
		names = append(names, f.Name)
	}
	return names
}

func ptr[T any](v T) *T { return &v }
