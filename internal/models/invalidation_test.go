package models_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apikey"
)

func TestHashesOfManySecretsAreInvalidatedByOneRow(t *testing.T) {
	stale := []models.Dependency{{Subject: "key:1", Version: 7}}
	want := map[models.Dependency]bool{stale[0]: true}
	for i := range 1000 {
		d := models.Dependency{Subject: models.HashSubject(apikey.Sum(fmt.Sprint(i))), Version: 1}
		stale, want[d] = append(stale, d, d), true
	}
	rows := models.Invalidations(stale)
	require.Len(t, rows, 2)
	got := map[models.Dependency]bool{}
	for i := range rows {
		for _, d := range rows[i].Stale() {
			require.False(t, got[d], "once")
			got[d] = true
		}
	}
	require.Equal(t, want, got)
	require.Empty(t, models.Invalidations(nil))
}

func TestRowsOfOtherSubjectsTellOfThemselves(t *testing.T) {
	for _, subject := range []models.Subject{"owner:1", "secret:beef", "secret:be", models.DirectorySubject} {
		row := models.Invalidation{Subject: subject, Version: 3}
		require.Equal(t, []models.Dependency{{Subject: subject, Version: 3}}, row.Stale())
	}
}
