package models_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
)

func TestSeverityFollowsFromRefusalsLimitAndRepeats(t *testing.T) {
	for _, test := range []struct {
		denials, limit int64
		repeats        int
		want           models.ViolationSeverity
	}{
		{1, 100, 0, models.ViolationLow},
		{99, 1000, 4, models.ViolationLow},
		{99, 99, 0, models.ViolationLow},        // as many as the limit
		{99, 99, 5, models.ViolationMedium},     // and again and again
		{99, 9, 0, models.ViolationMedium},      // ten times the limit
		{100, 1000, 0, models.ViolationLow},     // many
		{100, 100, 0, models.ViolationMedium},   // many, and as many as the limit
		{100, 100, 60, models.ViolationHigh},    // for hours
		{10_000, 1000, 0, models.ViolationHigh}, // very many, ten times the limit
		{10_000, 1000, 5, models.ViolationCritical},
		{10_000, 1 << 50, 60, models.ViolationHigh},
		{1 << 60, 1, 1440, models.ViolationCritical},
		{5, 0, 0, models.ViolationLow}, // of a limit that is not known
	} {
		require.Equal(t, test.want, models.SeverityOfViolation(test.denials, test.limit, test.repeats), "%+v", test)
	}
}

func TestQuotaReachesAPercentageExactly(t *testing.T) {
	for _, test := range []struct {
		units, forgiven, limit int64
		percent                int
		want                   bool
	}{
		{79, 0, 100, 80, false}, {80, 0, 100, 80, true}, {81, 0, 100, 80, true}, {100, 20, 100, 80, true}, {99, 20, 100, 80, false},
		{1, 0, 1, 100, true}, {2, 0, 3, 67, false}, {5, 0, 0, 80, false}, {1 << 62, 0, 1 << 53, 1000, true}, {0, 0, 10, 1, false},
	} {
		q := models.QuotaTotal{Units: test.units, Offset: test.forgiven, Limit: test.limit}
		require.Equal(t, test.want, q.Reached(test.percent), "%+v", test)
	}
}
