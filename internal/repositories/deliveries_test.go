package repositories_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func someDestination(name string) models.Destination {
	return models.Destination{
		ID: models.NewID[models.DestinationID](), Name: name, Type: models.DestinationWebhook, URL: "https://example.com/hooks",
		MinSeverity: models.SeverityInfo, RatePerMinute: 60, Secret: "whsec_x", Version: 1, CreatedAt: at(1), UpdatedAt: at(1),
	}
}

func someDelivery(destination models.DestinationID) models.Delivery {
	id := models.NewID[models.DeliveryID]()
	return models.Delivery{
		ID: id, DestinationID: destination, State: models.DeliveryPending, NextAt: ptr(at(2)), CreatedAt: at(1),
		Message: models.Message{ID: string(id), At: at(1), Events: []models.Event{{
			ID: models.NewID[models.NoticeID](), Type: models.EventAlertActive, At: at(1), Severity: models.SeverityWarning,
			Title: "Läden \"zu\"", Data: map[string]string{"rule": "burst"},
		}}, Omitted: 3},
	}
}

func TestDestinationsAndDeliveriesComeBackAsTheyWereStored(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		destinations, deliveries := repositories.NewDestinations(s.db), repositories.NewDeliveries(s.db)
		full := models.Destination{
			ID: models.NewID[models.DestinationID](), Name: "ops", Type: models.DestinationEmail, URL: "https://example.com/?a=b",
			Headers: map[string]string{"X-Team": "ä"}, To: []string{"a@example.com", "b@example.com"}, ToOwner: true,
			Events: []string{"alert.*"}, MinSeverity: models.SeverityCritical, RatePerMinute: 6000, Secret: "whsec_a",
			SecretPrevious: "whsec_b", SecretPreviousUntil: ptr(at(2)), DisabledAt: ptr(at(3)), DisabledReason: "410",
			FailingSince: ptr(at(4)), Version: 7, CreatedAt: at(1), UpdatedAt: at(5),
		}
		require.NoError(t, destinations.Create(t.Context(), &full))
		for _, ref := range []string{"ops", string(full.ID)} {
			got, err := destinations.Find(t.Context(), ref)
			require.NoError(t, err)
			require.Equal(t, &full, got)
		}
		bare := someDestination("bare")
		require.NoError(t, destinations.Create(t.Context(), &bare))
		got, err := destinations.Lock(t.Context(), "bare")
		require.NoError(t, err)
		require.Equal(t, &bare, got)
		twin := someDestination("bare")
		require.Equal(t, "name", field(t, refused(t, destinations.Create(t.Context(), &twin), apierror.CodeAlreadyExists)))
		enabled, err := destinations.Enabled(t.Context())
		require.NoError(t, err)
		require.Equal(t, []models.Destination{bare}, enabled)
		n, err := destinations.Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, n)

		owner := s.owner(t)
		delivery := someDelivery(bare.ID)
		delivery.OwnerID, delivery.OriginID, delivery.To = &owner.ID, ptr(models.NewID[models.DeliveryID]()), "a@example.com"
		delivery.ClaimedUntil, delivery.FinishedAt, delivery.Attempts = ptr(at(3)), ptr(at(4)), 2
		require.NoError(t, deliveries.CreateMany(t.Context(), []models.Delivery{delivery}))
		found, err := deliveries.Find(t.Context(), delivery.ID)
		require.NoError(t, err)
		require.Equal(t, &delivery, found)
		found.Finish(models.DeliveryDelivered, at(9))
		found.Message.Omitted = 4
		require.NoError(t, deliveries.Save(t.Context(), found))
		again, err := deliveries.Lock(t.Context(), delivery.ID)
		require.NoError(t, err)
		require.Equal(t, found, again)

		attempt := models.DeliveryAttempt{DeliveryID: delivery.ID, Number: 1, DestinationID: bare.ID, At: at(1)}
		require.NoError(t, deliveries.Begin(t.Context(), &attempt))
		attempt.DoneAt, attempt.TookMS, attempt.Delivered, attempt.Status = ptr(at(2)), 1234, true, 204
		attempt.Request, attempt.Response, attempt.Error = "POST", "ok", "none"
		require.NoError(t, deliveries.End(t.Context(), &attempt))
		list, err := deliveries.AttemptsOf(t.Context(), delivery.ID)
		require.NoError(t, err)
		require.Equal(t, []models.DeliveryAttempt{attempt}, list)
		one, err := deliveries.Attempt(t.Context(), delivery.ID, 1)
		require.NoError(t, err)
		require.Equal(t, &attempt, one)
		refused(t, deliveries.Begin(t.Context(), &attempt), apierror.CodeAlreadyExists)
	})
}

func TestFailingIsNoChangeOfADestination(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		destinations := repositories.NewDestinations(s.db)
		d := someDestination("hook")
		require.NoError(t, destinations.Create(t.Context(), &d))
		require.NoError(t, destinations.Fails(t.Context(), d.ID, ptr(at(5))))
		got, err := destinations.Find(t.Context(), "hook")
		require.NoError(t, err)
		require.Equal(t, at(5), *got.FailingSince)
		require.EqualValues(t, 1, got.Version)
		require.NoError(t, destinations.Fails(t.Context(), d.ID, nil))
		got, err = destinations.Find(t.Context(), "hook")
		require.NoError(t, err)
		require.Equal(t, &d, got)
	})
}

func TestSecretsAreForgottenWhenTheySignNoMore(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		destinations := repositories.NewDestinations(s.db)
		d := someDestination("hook")
		d.SecretPrevious, d.SecretPreviousUntil = "whsec_old", ptr(at(5))
		require.NoError(t, destinations.Create(t.Context(), &d))
		for _, row := range []struct {
			now  time.Time
			left string
		}{{at(4), "whsec_old"}, {at(5), ""}, {at(6), ""}} {
			require.NoError(t, destinations.ForgetSecrets(t.Context(), row.now))
			got, err := destinations.Find(t.Context(), "hook")
			require.NoError(t, err)
			require.Equal(t, row.left, got.SecretPrevious)
			require.Equal(t, row.left == "", got.SecretPreviousUntil == nil)
			require.Equal(t, "whsec_x", got.Secret)
		}
	})
}

func TestWhatWaitsUntriedIsFound(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		deliveries := repositories.NewDeliveries(s.db)
		here, there := models.NewID[models.DestinationID](), models.NewID[models.DestinationID]()
		rows := map[string]models.Delivery{}
		for name, change := range map[string]func(*models.Delivery){
			"waits":     func(*models.Delivery) {},
			"to owner":  func(d *models.Delivery) { d.To, d.OwnerID = "a@example.com", ptr(models.NewID[models.OwnerID]()) },
			"tried":     func(d *models.Delivery) { d.Attempts = 1 },
			"ended":     func(d *models.Delivery) { d.Finish(models.DeliveryCanceled, at(3)) },
			"again":     func(d *models.Delivery) { d.OriginID = ptr(d.ID) },
			"elsewhere": func(d *models.Delivery) { d.DestinationID = there },
			"to other":  func(d *models.Delivery) { d.To = "b@example.com" },
		} {
			d := someDelivery(here)
			change(&d)
			rows[name] = d
			require.NoError(t, deliveries.CreateMany(t.Context(), []models.Delivery{d}))
		}
		inTx(t, s.db, func(ctx context.Context) {
			list, err := deliveries.Waiting(ctx, here, []string{"", "a@example.com"})
			require.NoError(t, err)
			require.ElementsMatch(t, []models.Delivery{rows["waits"], rows["to owner"]}, list)
			none, err := deliveries.Waiting(ctx, here, nil)
			require.NoError(t, err)
			require.Empty(t, none)
		})
		n, err := deliveries.CancelPending(t.Context(), here, at(8))
		require.NoError(t, err)
		require.EqualValues(t, 5, n)
		list, err := deliveries.List(t.Context(), models.DeliveryFilter{State: models.DeliveryPending}, models.Page{})
		require.NoError(t, err)
		require.Equal(t, []models.Delivery{rows["elsewhere"]}, list)
		list, err = deliveries.List(t.Context(), models.DeliveryFilter{DestinationID: there, Since: at(2)}, models.Page{})
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

func TestARateIsFullWithTheAttemptsOfItsMinute(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		deliveries := repositories.NewDeliveries(s.db)
		d := someDelivery(models.NewID[models.DestinationID]())
		require.NoError(t, deliveries.CreateMany(t.Context(), []models.Delivery{d}))
		for i := range 5 {
			require.NoError(t, deliveries.Begin(t.Context(), &models.DeliveryAttempt{
				DeliveryID: d.ID, Number: i + 1, DestinationID: d.DestinationID, At: at(10 + i),
			}))
		}
		for _, row := range []struct {
			rate    int
			horizon time.Time
			want    time.Time
		}{
			{1, at(0), at(14)}, {5, at(0), at(10)}, {6, at(0), time.Time{}}, {3, at(11), at(12)}, {4, at(11), time.Time{}},
		} {
			got, err := deliveries.FullSince(t.Context(), d.DestinationID, row.rate, row.horizon)
			require.NoError(t, err)
			require.Equal(t, row.want, got, "%+v", row)
		}
		got, err := deliveries.FullSince(t.Context(), models.NewID[models.DestinationID](), 1, at(0))
		require.NoError(t, err)
		require.Zero(t, got)
	})
}

func TestWhatEndedLongAgoIsErased(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		deliveries := repositories.NewDeliveries(s.db)
		list := make([]models.Delivery, 2500) // more than one statement erases
		for i := range list {
			list[i] = someDelivery(models.NewID[models.DestinationID]())
			list[i].Finish(models.DeliveryDelivered, at(3))
		}
		pending, recent := someDelivery(list[0].DestinationID), someDelivery(list[0].DestinationID)
		recent.Finish(models.DeliveryFailed, at(5))
		require.NoError(t, deliveries.CreateMany(t.Context(), list))
		require.NoError(t, deliveries.CreateMany(t.Context(), []models.Delivery{pending, recent}))
		for _, d := range []models.Delivery{list[0], pending} {
			require.NoError(t, deliveries.Begin(t.Context(), &models.DeliveryAttempt{DeliveryID: d.ID, Number: 1, DestinationID: d.DestinationID, At: at(1)}))
		}
		n, err := deliveries.Prune(t.Context(), at(5))
		require.NoError(t, err)
		require.EqualValues(t, 2500, n)
		left, err := deliveries.List(t.Context(), models.DeliveryFilter{}, models.Page{})
		require.NoError(t, err)
		require.ElementsMatch(t, []models.Delivery{pending, recent}, left)
		gone, err := deliveries.AttemptsOf(t.Context(), list[0].ID)
		require.NoError(t, err)
		require.Empty(t, gone)
		n, err = deliveries.Prune(t.Context(), at(5))
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestAnOwnersAddressIsErasedFromDeliveries(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		deliveries := repositories.NewDeliveries(s.db)
		ada, bob := models.NewID[models.OwnerID](), models.NewID[models.OwnerID]()
		var list []models.Delivery
		for _, owner := range []models.OwnerID{ada, ada, bob} {
			d := someDelivery(models.NewID[models.DestinationID]())
			d.OwnerID, d.To = &owner, string(owner)+"@example.com"
			list = append(list, d)
		}
		list[0].Finish(models.DeliveryDelivered, at(3))
		require.NoError(t, deliveries.CreateMany(t.Context(), list))
		for _, d := range list {
			require.NoError(t, deliveries.Begin(t.Context(), &models.DeliveryAttempt{
				DeliveryID: d.ID, Number: 1, DestinationID: d.DestinationID, At: at(1), Request: "To: " + d.To, Response: d.To, Error: d.To,
			}))
		}
		n, err := deliveries.ForgetOwner(t.Context(), ada, at(0))
		require.NoError(t, err)
		require.Zero(t, n, "they are newer")
		n, err = deliveries.ForgetOwner(t.Context(), ada, at(1))
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		for i, state := range []models.DeliveryState{models.DeliveryDelivered, models.DeliveryCanceled, models.DeliveryPending} {
			got, err := deliveries.Find(t.Context(), list[i].ID)
			require.NoError(t, err)
			require.Equal(t, state, got.State)
			attempt, err := deliveries.Attempt(t.Context(), list[i].ID, 1)
			require.NoError(t, err)
			if i < 2 {
				require.Empty(t, got.To+attempt.Request+attempt.Response+attempt.Error)
			} else {
				require.Equal(t, list[i].To, got.To)
				require.Contains(t, attempt.Request, got.To)
			}
		}
		n, err = deliveries.ForgetOwner(t.Context(), ada, time.Time{})
		require.NoError(t, err)
		require.Zero(t, n, "twice changes nothing")
	})
}

func TestPlannersTakeEachNoticeOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		notices := repositories.NewNotices(s.db)
		for i := range 30 {
			require.NoError(t, notices.Add(t.Context(), models.Notice{DedupKey: fmt.Sprint(i), Event: models.Event{Type: models.EventKeyExpired}}))
		}
		oldest, err := notices.OldestUnplanned(t.Context())
		require.NoError(t, err)
		require.Equal(t, s.clock.Now(), oldest)
		var (
			mu    sync.Mutex
			taken []models.NoticeID
			wg    sync.WaitGroup
		)
		for range 4 {
			wg.Go(func() {
				for n := 1; n > 0; {
					err := s.db.InTx(t.Context(), func(ctx context.Context) error {
						list, err := notices.LockUnplanned(ctx, 7)
						n = len(list)
						if err != nil {
							return err
						}
						ids := make([]models.NoticeID, n)
						for i := range list {
							ids[i] = list[i].ID
						}
						if err := notices.Planned(ctx, ids, at(9)); err != nil {
							return err
						}
						s.db.AfterCommit(ctx, func() {
							mu.Lock()
							defer mu.Unlock()
							taken = append(taken, ids...)
						})
						return nil
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		seen := map[models.NoticeID]bool{}
		for _, id := range taken {
			require.False(t, seen[id], "planned twice")
			seen[id] = true
		}
		// A planner that waited for another may have found nothing left in what it
		// had looked at, and ended; the job runs again for the rest.
		inTx(t, s.db, func(ctx context.Context) {
			rest, err := notices.LockUnplanned(ctx, 100)
			require.NoError(t, err)
			require.Len(t, taken, 30-len(rest))
		})
		require.NoError(t, notices.Prune(t.Context(), at(10)))
		require.NoError(t, notices.Prune(t.Context(), at(10)))
	})
}

func TestRulesThatNameADestinationAreFound(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		destinations, rules := repositories.NewDestinations(s.db), repositories.NewAlertRules(s.db)
		d := models.NewID[models.DestinationID]()
		for name, list := range map[string][]models.DestinationID{
			"all": nil, "it": {d}, "both": {models.NewID[models.DestinationID](), d}, "other": {models.NewID[models.DestinationID]()},
		} {
			require.NoError(t, rules.Create(t.Context(), &models.AlertRule{
				ID: models.NewID[models.AlertRuleID](), Name: name, Destinations: list, Version: 1, CreatedAt: at(1), UpdatedAt: at(1),
			}))
		}
		names, err := destinations.RulesNaming(t.Context(), d)
		require.NoError(t, err)
		require.Equal(t, []string{"both", "it"}, names)
	})
}

func TestDeliveriesAreFoundAlongIndexes(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *suite) {
		deliveries := repositories.NewDeliveries(s.db)
		d := models.NewID[models.DestinationID]()
		list := make([]models.Delivery, 6000)
		for i := range list {
			list[i] = someDelivery(d)
			list[i].CreatedAt = at(1).Add(time.Duration(i) * time.Second)
			list[i].Finish(models.DeliveryDelivered, list[i].CreatedAt)
		}
		require.NoError(t, deliveries.CreateMany(t.Context(), list))
		for i := range 3000 {
			require.NoError(t, deliveries.Begin(t.Context(), &models.DeliveryAttempt{DeliveryID: list[i].ID, Number: 1, DestinationID: d, At: list[i].CreatedAt}))
		}
		_, err := repositories.Pool(s.db).ExecContext(t.Context(), "ANALYZE")
		require.NoError(t, err)
		var plans []string
		repositories.Explain(s.db, func(plan string) { plans = append(plans, plan) })
		for name, read := range map[string]func() error{
			"deliveries_pending_idx": func() error {
				_, err := deliveries.Waiting(t.Context(), d, []string{""})
				return err
			},
			"delivery_attempts_rate_idx": func() error {
				_, err := deliveries.FullSince(t.Context(), d, 60, list[2900].CreatedAt)
				return err
			},
			"deliveries_created_at_idx": func() error {
				_, err := deliveries.List(t.Context(), models.DeliveryFilter{}, models.Page{})
				return err
			},
			"deliveries_state_idx": func() error {
				_, err := deliveries.List(t.Context(), models.DeliveryFilter{State: models.DeliveryFailed}, models.Page{})
				return err
			},
		} {
			plans = nil
			require.NoError(t, read())
			require.Len(t, plans, 1)
			require.Contains(t, plans[0], name)
		}
	})
}
