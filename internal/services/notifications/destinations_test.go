package notifications_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/notifications"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func ownSecret(bytes int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", bytes)))
}

func TestADestinationIsMadeWithDefaults(t *testing.T) {
	w := newWorld(t)
	d, secret, err := w.Create(t.Context(), notifications.NewDestination{Name: "ops", Type: models.DestinationWebhook, URL: "https://example.com/x"})
	require.NoError(t, err)
	require.Equal(t, models.SeverityInfo, d.MinSeverity)
	require.Equal(t, 60, d.RatePerMinute)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	require.Len(t, key, 32)
	found, err := w.Find(t.Context(), "ops")
	require.NoError(t, err)
	require.Equal(t, d, found)
	for _, bytes := range []int{24, 64} {
		_, secret, err = w.Create(t.Context(), notifications.NewDestination{
			Name: fmt.Sprint("own", bytes), Type: models.DestinationWebhook, URL: "https://example.com/x", Secret: ownSecret(bytes),
		})
		require.NoError(t, err)
		require.Equal(t, ownSecret(bytes), secret)
	}
	_, secret, err = w.Create(t.Context(), notifications.NewDestination{Name: "chat", Type: models.DestinationSlack, URL: "https://hooks.slack.com/x"})
	require.NoError(t, err)
	require.Empty(t, secret)
}

func TestBadDestinationsAreRefusedAndNamed(t *testing.T) {
	w := newWorld(t)
	w.create(func(n *notifications.NewDestination) { n.Name = "taken" })
	for _, row := range []struct {
		name   string
		change func(*notifications.NewDestination)
		fields []string
	}{
		{"no name", func(n *notifications.NewDestination) { n.Name = "" }, []string{"name"}},
		{"a bad URL", func(n *notifications.NewDestination) { n.URL = "bad" }, []string{"url"}},
		{"no event", func(n *notifications.NewDestination) { n.Events = []string{"alert.*", "alert.gone"} }, []string{"events[1]"}},
		{"an event twice", func(n *notifications.NewDestination) { n.Events = []string{"alert.*", "alert.*"} }, []string{"events[1]"}},
		{"tests come anyway", func(n *notifications.NewDestination) { n.Events = []string{"test"} }, []string{"events[0]"}},
		{"everything is nothing named", func(n *notifications.NewDestination) { n.Events = []string{"*"} }, []string{"events[0]"}},
		{"too many events", func(n *notifications.NewDestination) { n.Events = make([]string, 1000) }, nil},
		{"no severity", func(n *notifications.NewDestination) { n.MinSeverity = "loud" }, []string{"min_severity"}},
		{"too slow", func(n *notifications.NewDestination) { n.RatePerMinute = -1 }, []string{"rate_per_minute"}},
		{"too fast", func(n *notifications.NewDestination) { n.RatePerMinute = 6001 }, []string{"rate_per_minute"}},
		{"a secret of Slack", func(n *notifications.NewDestination) { n.Type, n.Secret = models.DestinationSlack, ownSecret(32) }, []string{"secret"}},
		{"no type", func(n *notifications.NewDestination) { n.Type = "pigeon" }, []string{"type"}},
		{"a webhook to nowhere", func(n *notifications.NewDestination) { n.URL = "" }, []string{"url"}},
		{"a webhook to people", func(n *notifications.NewDestination) { n.To, n.ToOwner = []string{"a@example.com"}, true }, []string{"to", "to_owner"}},
		{"headers of Slack", func(n *notifications.NewDestination) {
			n.Type, n.Headers = models.DestinationSlack, map[string]string{"X": "y"}
		}, []string{"headers"}},
		{"an email to a URL", func(n *notifications.NewDestination) { n.Type, n.ToOwner = models.DestinationEmail, true }, []string{"url"}},
		{"an email to nobody", func(n *notifications.NewDestination) { n.Type, n.URL = models.DestinationEmail, "" }, []string{"to"}},
		{"an email to both", func(n *notifications.NewDestination) {
			n.Type, n.URL, n.To, n.ToOwner = models.DestinationEmail, "", []string{"a@example.com"}, true
		}, []string{"to"}},
		{"a secret that cannot sign", func(n *notifications.NewDestination) { n.Secret = "whsec_abc" }, []string{"secret"}},
		{"too many addresses", func(n *notifications.NewDestination) {
			n.Type, n.URL, n.To = models.DestinationEmail, "", make([]string, 21)
		}, []string{"to"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := notifications.NewDestination{Name: "new", Type: models.DestinationWebhook, URL: "https://example.com"}
			row.change(&n)
			_, _, err := w.Create(t.Context(), n)
			fields := badFields(t, err)
			if row.fields != nil {
				require.Equal(t, row.fields, fields)
			}
		})
	}
	_, _, err := w.Create(t.Context(), notifications.NewDestination{Name: "taken", Type: models.DestinationWebhook, URL: "https://example.com"})
	require.ErrorIs(t, err, apierror.CodeAlreadyExists)
	list, err := w.List(t.Context(), models.Page{})
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestAnEmailNeedsAMailServer(t *testing.T) {
	w := newWorld(t)
	w.EmailMissing = "notify.smtp.addr"
	_, _, err := w.Create(t.Context(), notifications.NewDestination{Name: "mail", Type: models.DestinationEmail, To: []string{"a@example.com"}})
	require.Equal(t, []string{"type"}, badFields(t, err))
	require.ErrorContains(t, err, "notify.smtp.addr")
}

func TestThereAreAHundredAtMost(t *testing.T) {
	w := newWorld(t)
	for i := range models.MaxDestinations {
		w.create(func(n *notifications.NewDestination) { n.Name = fmt.Sprint("d", i) })
	}
	_, _, err := w.Create(t.Context(), notifications.NewDestination{Name: "more", Type: models.DestinationWebhook, URL: "https://example.com"})
	require.ErrorIs(t, err, apierror.CodeConflict)
	require.NoError(t, w.Delete(t.Context(), "d7"))
	w.create()
}

func TestTheHundredthIsMadeOnceByWhoeverComesFirst(t *testing.T) {
	eachEngine(t, func(t *testing.T, w *world) {
		for i := range models.MaxDestinations - 1 {
			w.create(func(n *notifications.NewDestination) { n.Name = fmt.Sprint("d", i) })
		}
		var made atomic.Int32
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				_, _, err := w.Create(t.Context(), notifications.NewDestination{
					Name: fmt.Sprint("last", i), Type: models.DestinationWebhook, URL: "https://example.com",
				})
				switch {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, apierror.CodeConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, made.Load())
	})
}

func TestAPatchLeavesWhatItDoesNotName(t *testing.T) {
	w := newWorld(t)
	d := w.create(func(n *notifications.NewDestination) { n.Headers = map[string]string{"X-A": "secret-value"} })
	changed, err := w.Update(t.Context(), string(d.ID), d.Version, notifications.Patch{
		Name: ptr("renamed"), Events: ptr([]string{"key.*"}), RatePerMinute: ptr(7), MinSeverity: ptr(models.SeverityCritical),
	})
	require.NoError(t, err)
	require.Equal(t, d.Secret, w.find(d).Secret)
	want := d
	want.Name, want.Events, want.RatePerMinute, want.MinSeverity = "renamed", []string{"key.*"}, 7, models.SeverityCritical
	want.Version, want.UpdatedAt = 2, changed.UpdatedAt
	require.Equal(t, want, changed)
	_, err = w.Update(t.Context(), string(d.ID), d.Version, notifications.Patch{Name: ptr("late")})
	require.ErrorIs(t, err, apierror.CodePreconditionFailed)
	_, err = w.Update(t.Context(), string(d.ID), 0, notifications.Patch{RatePerMinute: ptr(0)})
	require.Equal(t, []string{"rate_per_minute"}, badFields(t, err))
	require.Equal(t, changed, w.find(d))
}

func TestARotationLetsBothSecretsSignForItsGrace(t *testing.T) {
	w := newWorld(t)
	d, delivery := w.delivery()
	rotated, secret, err := w.Rotate(t.Context(), string(d.ID), notifications.Rotation{})
	require.NoError(t, err)
	require.NotEqual(t, d.Secret, secret)
	require.Equal(t, w.clock().Add(24*time.Hour), *rotated.SecretPreviousUntil)
	require.Zero(t, w.deliver(delivery.ID))
	require.Equal(t, []string{secret, d.Secret}, []string{w.sender.calls[0].secret, w.sender.calls[0].before})

	w.advance(24*time.Hour - time.Second)
	_, err = w.Prune(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Equal(t, d.Secret, w.find(d).SecretPrevious)
	w.advance(time.Second)
	_, err = w.Prune(t.Context(), time.Time{})
	require.NoError(t, err)
	require.Empty(t, w.find(d).SecretPrevious)

	own := ownSecret(40)
	_, secret, err = w.Rotate(t.Context(), string(d.ID), notifications.Rotation{Secret: own, Grace: ptr(time.Duration(0))})
	require.NoError(t, err)
	require.Equal(t, own, secret)
	require.Empty(t, w.find(d).SecretPrevious, "without grace, at once")
	require.Nil(t, w.find(d).SecretPreviousUntil)

	for name, bad := range map[string]struct {
		rotation notifications.Rotation
		field    string
	}{
		"grace below zero": {notifications.Rotation{Grace: ptr(-time.Second)}, "grace"},
		"grace too long":   {notifications.Rotation{Grace: ptr(168*time.Hour + 1)}, "grace"},
		"too short":        {notifications.Rotation{Secret: ownSecret(23)}, "secret"},
		"too long":         {notifications.Rotation{Secret: ownSecret(65)}, "secret"},
		"no prefix":        {notifications.Rotation{Secret: strings.TrimPrefix(own, "whsec_")}, "secret"},
		"no base64":        {notifications.Rotation{Secret: "whsec_" + strings.Repeat("!", 40)}, "secret"},
		"the present one":  {notifications.Rotation{Secret: own}, "secret"},
	} {
		_, _, err := w.Rotate(t.Context(), string(d.ID), bad.rotation)
		require.Equal(t, []string{bad.field}, badFields(t, err), name)
		require.NotContains(t, err.Error(), strings.TrimPrefix(own, "whsec_"), name)
	}
	slack := w.create(func(n *notifications.NewDestination) { n.Type = models.DestinationSlack })
	_, _, err = w.Rotate(t.Context(), slack.Name, notifications.Rotation{})
	require.ErrorIs(t, err, apierror.CodeConflict)
}

func TestATestIsOneAttemptAtOnce(t *testing.T) {
	w := newWorld(t)
	d := w.create()
	view, err := w.Test(t.Context(), d.Name, "")
	require.NoError(t, err)
	require.Equal(t, models.DeliveryDelivered, view.Delivery.State)
	require.Equal(t, models.EventTest, view.Delivery.Message.Events[0].Type)
	require.Len(t, view.Attempts, 1)

	w.sender.answer = fails(500)
	view, err = w.Test(t.Context(), d.Name, "")
	require.NoError(t, err)
	require.Equal(t, models.DeliveryFailed, view.Delivery.State, "it is not tried again")
	require.Equal(t, "HTTP 500", view.Attempts[0].Error)
	require.Nil(t, w.find(d).FailingSince)
	require.Zero(t, w.deliver(view.Delivery.ID))

	_, err = w.Disable(t.Context(), d.Name, "")
	require.NoError(t, err)
	w.sender.answer = func(call) models.Sent { panic("the program ends here") }
	require.Panics(t, func() { _, _ = w.Test(t.Context(), d.Name, "") }, "one that is disabled can be tested")
	pending := w.all(notifications.Filter{State: models.DeliveryPending})
	require.Len(t, pending, 1)
	w.advance(30 * time.Second)
	require.Zero(t, w.deliver(pending[0].ID), "the job that was asked for ends it")
	require.Equal(t, models.DeliveryFailed, w.view(pending[0].ID).Delivery.State)

	w.sender.answer = fails(500)
	email := w.create(func(n *notifications.NewDestination) { n.Type, n.URL, n.ToOwner = models.DestinationEmail, "", true })
	for to, field := range map[string]string{"": "to", "no address": "to"} {
		_, err = w.Test(t.Context(), email.Name, to)
		require.Equal(t, []string{field}, badFields(t, err))
	}
	_, err = w.Test(t.Context(), d.Name, "me@example.com")
	require.Equal(t, []string{"to"}, badFields(t, err))
	_, err = w.Test(t.Context(), email.Name, "me@example.com")
	require.NoError(t, err)
	require.Equal(t, "me@example.com", w.sender.calls[len(w.sender.calls)-1].to)

	slow := w.create(func(n *notifications.NewDestination) { n.RatePerMinute = 1 })
	_, err = w.Test(t.Context(), slow.Name, "")
	require.NoError(t, err)
	_, err = w.Test(t.Context(), slow.Name, "")
	require.ErrorIs(t, err, apierror.CodeConflict)
	require.ErrorContains(t, err, "try again in")
	_, err = w.Test(t.Context(), "nobody", "")
	require.ErrorIs(t, err, apierror.CodeNotFound)
}

func TestADeliveryIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	d, delivery := w.delivery()
	_, err := w.Redeliver(t.Context(), delivery.ID)
	require.ErrorIs(t, err, apierror.CodeConflict, "it has not ended")
	require.Zero(t, w.deliver(delivery.ID))
	again, err := w.Redeliver(t.Context(), delivery.ID)
	require.NoError(t, err)
	require.NotEqual(t, delivery.ID, again.ID)
	require.Equal(t, delivery.ID, *again.OriginID)
	w.tell(1, models.Event{}, d.ID)
	w.plan()
	require.Zero(t, w.deliver(again.ID))
	require.Equal(t, delivery.Message, w.sender.calls[1].message, "the same message; nothing new joins it")
	require.Len(t, w.all(notifications.Filter{Destination: d.Name}), 3)
	job, err := w.jobs.Load(t.Context(), models.JobNotifyDeliver, string(again.ID))
	require.NoError(t, err)
	require.NotNil(t, job)

	_, err = w.Disable(t.Context(), d.Name, "")
	require.NoError(t, err)
	_, err = w.Redeliver(t.Context(), delivery.ID)
	require.ErrorIs(t, err, apierror.CodeConflict)
	require.NoError(t, w.Delete(t.Context(), d.Name))
	_, err = w.Redeliver(t.Context(), delivery.ID)
	require.ErrorIs(t, err, apierror.CodeConflict)
	require.Len(t, w.all(notifications.Filter{Destination: string(d.ID)}), 3, "what was sent is still listed")
	_, err = w.Redeliver(t.Context(), models.NewID[models.DeliveryID]())
	require.ErrorIs(t, err, apierror.CodeNotFound)
	_, err = w.Sent(t.Context(), notifications.Filter{Destination: "nobody"}, models.Page{})
	require.Equal(t, []string{"destination"}, badFields(t, err))
}

func TestChangesAreRecordedWithoutSecretsOrNotMade(t *testing.T) {
	w := newWorld(t)
	secrets := []string{"Authorization-value", "T000/B000/xyz", "token=abc"}
	hook := w.create(func(n *notifications.NewDestination) {
		n.URL, n.Headers = "https://example.com/hook?token=abc", map[string]string{"Authorization": "Authorization-value"}
	})
	slack := w.create(func(n *notifications.NewDestination) {
		n.Type, n.URL = models.DestinationSlack, "https://hooks.slack.com/services/T000/B000/xyz"
	})
	secrets = append(secrets, hook.Secret)
	steps := map[string]func() error{
		"destination.update": func() error {
			_, err := w.Update(t.Context(), hook.Name, 0, notifications.Patch{URL: ptr("https://example.com/other?token=abc")})
			return err
		},
		"destination.rotate_secret": func() error {
			_, secret, err := w.Rotate(t.Context(), hook.Name, notifications.Rotation{})
			if secret != "" {
				secrets = append(secrets, secret)
			}
			return err
		},
		"destination.disable": func() error { _, err := w.Disable(t.Context(), hook.Name, "why"); return err },
		"destination.test":    func() error { _, err := w.Test(t.Context(), slack.Name, ""); return err },
		"destination.delete":  func() error { return w.Delete(t.Context(), slack.Name) },
	}
	for action := range maps.Keys(steps) {
		w.changes.FailOn = action
		before := w.list()
		require.ErrorIs(t, steps[action](), repotest.ErrRecord, action)
		require.Equal(t, before, w.list(), action)
	}
	w.changes.FailOn = ""
	for _, action := range []string{"destination.update", "destination.rotate_secret", "destination.disable", "destination.test", "destination.delete"} {
		require.NoError(t, steps[action](), action)
	}
	require.Empty(t, w.changes.During(func() { _, err := w.Disable(t.Context(), hook.Name, "again"); require.NoError(t, err) }))
	_, err := w.Enable(t.Context(), hook.Name)
	require.NoError(t, err)
	require.Empty(t, w.changes.During(func() { _, err := w.Enable(t.Context(), hook.Name); require.NoError(t, err) }))

	entries, err := w.changes.Audit.List(t.Context(), models.AuditFilter{}, models.Page{Limit: 100})
	require.NoError(t, err)
	require.Len(t, entries, 8)
	text, err := json.Marshal(entries)
	require.NoError(t, err)
	for _, secret := range secrets {
		require.NotContains(t, string(text), secret)
	}
	require.Contains(t, string(text), "https://example.com/hook?…")
	require.Contains(t, string(text), "https://hooks.slack.com/…")
}

func (w *world) list() []models.Destination {
	w.t.Helper()
	list, err := w.List(w.t.Context(), models.Page{})
	require.NoError(w.t, err)
	return list
}

func TestADestinationThatAlertRulesNameStays(t *testing.T) {
	w := newWorld(t)
	d, other := w.create(), w.create(func(n *notifications.NewDestination) { n.Name = "other" })
	rules := repositories.NewAlertRules(w.db)
	rule := models.AlertRule{
		ID: models.NewID[models.AlertRuleID](), Name: "burning", Kind: "denial_rate", Severity: models.SeverityCritical, Enabled: true,
		Destinations: []models.DestinationID{d.ID}, Version: 1, CreatedAt: w.clock(), UpdatedAt: w.clock(),
	}
	require.NoError(t, rules.Create(t.Context(), &rule))
	err := w.Delete(t.Context(), d.Name)
	require.ErrorIs(t, err, apierror.CodeConflict)
	require.ErrorContains(t, err, "burning")
	require.Equal(t, d, w.find(d))
	require.NoError(t, w.Delete(t.Context(), other.Name))
}

func TestWhatEndedLongAgoIsPruned(t *testing.T) {
	w := newWorld(t)
	_, delivery := w.delivery()
	w.deliver(delivery.ID)
	n, err := w.Prune(t.Context(), w.clock())
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = w.Prune(t.Context(), w.clock().Add(time.Microsecond))
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	_, err = w.Delivery(t.Context(), delivery.ID)
	require.ErrorIs(t, err, apierror.CodeNotFound)
}
