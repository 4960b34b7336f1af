package repositories_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/repositories"
)

var wholeDue = map[string]*regexp.Regexp{
	repositories.Postgres: regexp.MustCompile(`Seq Scan on (rate_limit_violations(_\d+)?|quota_totals|api_keys|secrets)\s`),
	repositories.SQLite:   regexp.MustCompile(`SCAN (v|rate_limit_violations|quota_totals|api_keys|secrets)(\n| USING)`),
}

// What jobs ask for goes through an index, and violations through the days they
// may be in.
func TestQueriesOfJobsReadNoWholeTable(t *testing.T) {
	u := randomUsage(20_000, 100)
	eachEngine(t, func(t *testing.T, s *suite) {
		u.fill(t, s)
		now := u.bucket(u.buckets)
		fillLogs(t, s, u, now)
		var quotas []models.QuotaTotal
		for i := range 20_000 {
			day := now.Truncate(24*time.Hour).AddDate(0, 0, -i%40)
			quotas = append(quotas, models.QuotaTotal{QuotaKey: models.QuotaKey{
				Subject: "owner:" + string(models.NewID[models.OwnerID]()), Rule: "q", Period: models.PeriodDay, Start: day,
			}, Units: int64(i % 100), Limit: 100})
		}
		require.NoError(t, repositories.NewIngest(s.db).AddQuotas(t.Context(), quotas))
		var keys []models.APIKey
		var secrets []models.Secret
		owner := s.owner(t).ID
		for i := range 3000 {
			key := s.newKey(t, owner)
			if i%10 == 0 {
				at := now.Add(time.Duration(i-1500) * time.Minute)
				key.ExpiresAt, key.SuspendedAt, key.SuspendedUntil = &at, &at, &at
			}
			secret := s.newSecret(key.ID, string(key.ID))
			secret.ExpiresAt = key.ExpiresAt
			keys, secrets = append(keys, key), append(secrets, secret)
		}
		require.NoError(t, s.keys.Create(t.Context(), keys, secrets))
		execSQL(t, s.db, "ANALYZE")

		violations := repositories.NewViolations(s.db)
		var plans []string
		repositories.Explain(s.db, func(plan string) { plans = append(plans, plan) })
		key, day := u.keys[3], now.AddDate(0, 0, -2).Truncate(24*time.Hour)
		for name, query := range map[string]func() error{
			"due": func() error { _, err := violations.Due(t.Context(), key, day, 300); return err },
			"minutes": func() error {
				_, err := violations.Minutes(t.Context(), key, "a", day, day.Add(36*time.Hour))
				return err
			},
			"repeats": func() error { _, err := violations.Repeats(t.Context(), key, day, day.Add(time.Hour)); return err },
			"of key": func() error {
				_, err := violations.DenialsOfKey(t.Context(), key, now.Add(-10*time.Minute))
				return err
			},
			"of owner": func() error {
				_, err := violations.DenialsOfOwner(t.Context(), u.owners[3], now.Add(-10*time.Minute))
				return err
			},
			"of ip": func() error {
				_, err := violations.DenialsOfIP(t.Context(), "::1", now.Add(-10*time.Minute))
				return err
			},
			"ips":     func() error { _, err := violations.IPsOf(t.Context(), key, now.Add(-10*time.Minute), 50); return err },
			"expired": func() error { _, err := s.keys.ExpiredKeys(t.Context(), now.Add(-1400*time.Minute), 200); return err },
			"suspended": func() error {
				_, err := s.keys.EndedSuspensions(t.Context(), now.Add(-1400*time.Minute), 200)
				return err
			},
			"secrets": func() error {
				_, err := s.keys.KeysOfExpiredSecrets(t.Context(), now.Add(-1400*time.Minute), 200)
				return err
			},
			"near": func() error {
				rows, err := repositories.NewQuotas(s.db).Near(t.Context(), models.PeriodDay, now.AddDate(0, 0, -3), now, []int{80, 100}, 100)
				require.Len(t, rows, 100)
				return err
			},
		} {
			plans = nil
			require.NoError(t, query(), name)
			require.NotEmpty(t, plans, name)
			for _, plan := range plans {
				require.NotRegexp(t, wholeDue[s.db.Engine()], plan, name)
				for _, read := range logDay.FindAllStringSubmatch(plan, -1) {
					require.GreaterOrEqual(t, read[1], day.Format("20060102"), "%s: %s", name, plan)
				}
			}
		}
	})
}
