package violations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/violations"
)

var eightyAndAll = violations.Options{Outreach: violations.Outreach{Enabled: true, Percents: []int{80, 100}}}

// spend adds units to a quota.
func (w *world) spend(subject, rule string, period models.PeriodKind, start time.Time, units, limit int64) {
	w.t.Helper()
	require.NoError(w.t, w.ingest.AddQuotas(w.t.Context(), []models.QuotaTotal{{
		QuotaKey: models.QuotaKey{Subject: subject, Rule: rule, Period: period, Start: start}, Units: units, Limit: limit,
	}}))
}

func (w *world) reachOut() {
	w.t.Helper()
	w.many(func() error { _, err := w.Outreach(w.t.Context(), ""); return err })
}

func TestOwnersAreToldOfEachPercentageOnce(t *testing.T) {
	eachEngine(t, eightyAndAll, func(t *testing.T, w *world) {
		ada := w.owner("cust_1", "Europe/Berlin", 15)
		subject := "owner:" + string(ada.ID)
		// The period of the 15th, in Berlin, before its clock went ahead this day.
		start := time.Date(2026, 3, 14, 23, 0, 0, 0, time.UTC)
		tests := []struct {
			units int64
			told  []string // percentages by now
		}{
			{79, nil}, {1, []string{"80"}}, {19, []string{"80"}}, {1, []string{"80", "100"}}, {500, []string{"80", "100"}},
		}
		for _, test := range tests {
			w.spend(subject, "monthly", models.PeriodMonth, start, test.units, 100)
			w.reachOut()
			var got []string
			for _, n := range w.told() {
				got = append(got, n.Event.Data["threshold"])
			}
			require.Equal(t, test.told, got)
		}
		told := w.told()
		require.Equal(t, "outreach:"+subject+":monthly:2026-03-14T23:00:00Z:80", told[0].DedupKey)
		event := told[0].Event
		require.Equal(t, models.EventOwnerQuota, event.Type)
		require.Equal(t, ada.ID, event.OwnerID)
		require.Equal(t, "cust_1", event.Owner)
		require.Equal(t, "80% of your monthly quota is used", event.Title)
		require.Equal(t, `Your account has used 80 of the 100 units of the quota "monthly". It begins anew at 00:00 on 15 April 2026 (CEST).`, event.Text)
		require.Equal(t, map[string]string{
			"rule": "monthly", "used": "80", "limit": "100", "percent": "80", "threshold": "80", "period": "month",
			"period_start": "2026-03-14T23:00:00Z", "resets_at": "2026-04-14T22:00:00Z",
		}, event.Data)
		require.Equal(t, "Your monthly quota is used up", told[1].Event.Title)
		require.Equal(t, models.SeverityCritical, told[1].Event.Severity)
	})
}

func TestOutreachTellsTheHighestOfSeveralAndOnlyOfWhatGoesOn(t *testing.T) {
	eachEngine(t, eightyAndAll, func(t *testing.T, w *world) {
		ada, key := w.owner("cust_1", "UTC", 1), w.key("cust_1")
		gone := w.owner("cust_2", "UTC", 1)
		gone.ArchivedAt = &noon
		require.NoError(t, w.owners.Update(t.Context(), &gone))
		today, month := noon.Truncate(24*time.Hour), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		w.spend("owner:"+string(ada.ID), "both", models.PeriodDay, today, 120, 100)
		w.spend("owner:"+string(ada.ID), "yesterday", models.PeriodDay, today.AddDate(0, 0, -1), 100, 100)
		w.spend("owner:"+string(ada.ID), "tomorrow", models.PeriodDay, today.AddDate(0, 0, 1), 100, 100)
		w.spend("owner:"+string(ada.ID), "no limit known", models.PeriodDay, today, 100, 0)
		w.spend("owner:"+string(ada.ID), "little", models.PeriodMonth, month, 1, 100)
		w.spend("owner:"+string(ada.ID), "another anchor", models.PeriodMonth, month.AddDate(0, 0, 9), 100, 100)
		w.spend("key:"+string(key.ID), "of the key", models.PeriodMonth, month, 90, 100)
		w.spend("owner:"+string(gone.ID), "archived", models.PeriodMonth, month, 100, 100)
		w.spend("owner:"+string(models.NewID[models.OwnerID]()), "erased", models.PeriodMonth, month, 100, 100)
		w.spend("key:"+string(models.NewID[models.KeyID]()), "erased", models.PeriodMonth, month, 100, 100)
		w.reachOut()
		told := map[string]models.Event{}
		for _, n := range w.told() {
			told[n.Event.Data["rule"]] = n.Event
		}
		require.Len(t, told, 2)
		require.Len(t, w.told(), 2)
		require.Equal(t, "100", told["both"].Data["threshold"])
		require.Equal(t, "120", told["both"].Data["percent"])
		require.Equal(t, key.ID, told["of the key"].KeyID)
		require.Equal(t, ada.ID, told["of the key"].OwnerID)
		require.Contains(t, told["of the key"].Text, `The API key "Checkout" has used 90`)
		require.EqualValues(t, 3, w.number("SELECT COUNT(*) FROM quota_totals WHERE told = 0"), "tomorrow, no limit known and little")
		// What was told of is, also once it was forgiven and spent again.
		require.NoError(t, forgive(w, "owner:"+string(ada.ID)))
		w.spend("owner:"+string(ada.ID), "both", models.PeriodDay, today, 85, 100)
		w.reachOut()
		require.Len(t, w.told(), 2)
		// A limit that is lowered is reached by what is spent already.
		w.spend("owner:"+string(ada.ID), "little", models.PeriodMonth, month, 79, 90)
		w.reachOut()
		require.Len(t, w.told(), 3)
		w.spend("owner:"+string(ada.ID), "tomorrow", models.PeriodDay, today.AddDate(0, 0, 1), 80, 100)
		w.reachOut()
		require.Len(t, w.told(), 3)
		w.at(24 * time.Hour)
		w.reachOut()
		require.Len(t, w.told(), 4, "tomorrow has come")
	})
}

func TestManyOwnersAreToldInBoundedTransactions(t *testing.T) {
	eachEngine(t, eightyAndAll, func(t *testing.T, w *world) {
		ada := w.owner("cust_1", "UTC", 1)
		var rows []models.QuotaTotal
		for i := range 350 {
			rows = append(rows, models.QuotaTotal{QuotaKey: models.QuotaKey{
				Subject: "owner:" + string(ada.ID), Rule: "r" + time.Duration(i).String(), Period: models.PeriodMonth,
				Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
			}, Units: 1 << 62, Limit: 1 << 53})
		}
		require.NoError(t, w.ingest.AddQuotas(t.Context(), rows))
		w.reachOut()
		require.Len(t, w.told(), 350)
	})
}

func TestOutreachThatIsOffTellsNobody(t *testing.T) {
	eachEngine(t, violations.Options{Outreach: violations.Outreach{Percents: []int{80}}}, func(t *testing.T, w *world) {
		ada := w.owner("cust_1", "UTC", 1)
		w.spend("owner:"+string(ada.ID), "r", models.PeriodDay, noon.Truncate(24*time.Hour), 100, 100)
		w.reachOut()
		require.Empty(t, w.told())
	})
}
