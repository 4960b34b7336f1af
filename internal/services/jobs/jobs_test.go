package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/queue"
	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/repositories/repotest"
	"github.com/viva/rate-limiter/internal/services/jobs"
	"github.com/viva/rate-limiter/pkg/apierror"
)

type fixture struct {
	*jobs.Service
	store   repositories.Jobs
	changes *repotest.Changes
}

func open(t *testing.T) fixture {
	t.Helper()
	db := repotest.OpenSQLite(t, time.Now)
	embedded, err := queue.OpenEmbedded()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, embedded.Close()) })
	f := fixture{store: repositories.NewJobs(db), changes: repotest.NewChanges(db, time.Now)}
	f.Service = jobs.New(f.store, queue.NewInspector(embedded.Client(), "viva"), f.changes)
	return f
}

func (f fixture) fail(t *testing.T, subject string) {
	t.Helper()
	require.NoError(t, f.store.Touch(t.Context(), models.JobNotifyDeliver, subject, 0))
	job, err := f.store.Load(t.Context(), models.JobNotifyDeliver, subject)
	require.NoError(t, err)
	require.NoError(t, f.store.Fail(t.Context(), job, "no", true))
}

func (f fixture) failed(t *testing.T) int {
	t.Helper()
	list, err := f.List(t.Context(), models.JobFilter{State: models.JobFailed}, models.Page{})
	require.NoError(t, err)
	return len(list)
}

func TestNothingIsSettledWithoutARecord(t *testing.T) {
	f := open(t)
	f.fail(t, "a")
	f.changes.Fail = true
	_, err := f.Retry(t.Context(), jobs.Selection{Kind: models.JobNotifyDeliver, All: true})
	require.ErrorIs(t, err, repotest.ErrRecord)
	_, err = f.Delete(t.Context(), jobs.Selection{Kind: models.JobNotifyDeliver, All: true})
	require.ErrorIs(t, err, repotest.ErrRecord)
	require.Equal(t, 1, f.failed(t))

	require.ErrorIs(t, f.SetPaused(t.Context(), "low", true), repotest.ErrRecord)
	overview, err := f.Overview(t.Context())
	require.NoError(t, err)
	require.False(t, overview.Queues[2].Paused, "it was taken back")
}

func TestSelectionIsOneJobOrAllOfAKind(t *testing.T) {
	f := open(t)
	f.fail(t, "")
	empty, other := "", "other"
	for name, test := range map[string]struct {
		chosen jobs.Selection
		want   apierror.Code
	}{
		"of no kind":   {jobs.Selection{All: true}, apierror.CodeValidationFailed},
		"neither":      {jobs.Selection{Kind: models.JobNotifyDeliver}, apierror.CodeValidationFailed},
		"both":         {jobs.Selection{Kind: models.JobNotifyDeliver, Subject: &empty, All: true}, apierror.CodeValidationFailed},
		"another one":  {jobs.Selection{Kind: models.JobNotifyDeliver, Subject: &other}, apierror.CodeNotFound},
		"another kind": {jobs.Selection{Kind: models.JobAlertCheck, Subject: &empty}, apierror.CodeNotFound},
	} {
		_, err := f.Retry(t.Context(), test.chosen)
		require.ErrorIs(t, err, test.want, name)
		_, err = f.Delete(t.Context(), test.chosen)
		require.ErrorIs(t, err, test.want, name)
	}
	require.Equal(t, 1, f.failed(t))
	n, err := f.Retry(t.Context(), jobs.Selection{Kind: models.JobNotifyDeliver, Subject: &empty})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Zero(t, f.failed(t))
}
