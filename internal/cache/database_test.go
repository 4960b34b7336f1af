package cache

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

// A row is a value of the tests: one row of a table, which all values hang on
// together with the row of a plan.
type row struct {
	ID      string
	Version int64
	Plan    int64
}

func (r *row) made() []models.Dependency {
	return []models.Dependency{
		{Subject: models.Subject("key:" + r.ID), Version: r.Version},
		{Subject: "plan:p", Version: r.Plan},
	}
}

var errDown = apierror.New(apierror.CodeStoreUnavailable, "The database is out of reach.")

// database stands for the primary: rows by hash, and the table of
// invalidations. Either can be out of reach.
type database struct {
	mu        sync.Mutex
	rows      map[apikey.Hash]row
	plan      int64
	stale     []models.Invalidation // committed
	lastID    int64
	down      bool
	tableDown bool
	loads     int
	// reading, where set, is called by each load between its read of the rows
	// and its return.
	reading func(ctx context.Context)
}

func newDatabase() *database { return &database{rows: make(map[apikey.Hash]row), plan: 1} }

func (d *database) kind() kind[*row] {
	return kind[*row]{load: d.load, anchor: models.HashSubject, made: (*row).made}
}

func (d *database) feed() *Feed { return NewFeed(d.options()) }

func (d *database) options() FeedOptions {
	return FeedOptions{Source: d, PollInterval: 500 * time.Millisecond, Now: time.Now, Log: zap.NewNop()}
}

func (d *database) load(ctx context.Context, hash apikey.Hash) (*row, error) {
	d.mu.Lock()
	d.loads++
	found, ok := d.rows[hash]
	found.Plan = d.plan
	down, reading := d.down, d.reading
	d.mu.Unlock()
	if reading != nil {
		reading(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case down:
		return nil, errDown
	case !ok:
		return nil, apierror.NotFound("key")
	}
	return &found, nil
}

func (d *database) set(change func(d *database)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *database) loaded() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loads
}

// put commits a version of a row, and returns the invalidations that its
// transaction wrote.
func (d *database) put(hash apikey.Hash, version int64) []models.Invalidation {
	d.mu.Lock()
	defer d.mu.Unlock()
	subject := models.Subject("key:" + hash.String())
	if _, there := d.rows[hash]; !there {
		subject = models.HashSubject(hash)
	}
	d.rows[hash] = row{ID: hash.String(), Version: version}
	return []models.Invalidation{d.append(subject, version)}
}

func (d *database) erase(hash apikey.Hash) []models.Invalidation {
	d.mu.Lock()
	defer d.mu.Unlock()
	version := d.rows[hash].Version + 1
	delete(d.rows, hash)
	return []models.Invalidation{d.append(models.Subject("key:"+hash.String()), version)}
}

func (d *database) changePlan() []models.Invalidation {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan++
	return []models.Invalidation{d.append("plan:p", d.plan)}
}

// nextID is taken when a transaction writes its row; others may commit theirs
// with higher ones before it does.
func (d *database) nextID() int64 {
	d.lastID++
	return d.lastID
}

func (d *database) append(subject models.Subject, version int64) models.Invalidation {
	return d.commit(d.nextID(), subject, version)
}

func (d *database) commit(id int64, subject models.Subject, version int64) models.Invalidation {
	i := models.Invalidation{ID: id, Subject: subject, Version: version, CreatedAt: time.Now()}
	d.stale = append(d.stale, i)
	return i
}

func (d *database) Last(context.Context) (last int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tableDown {
		return 0, errDown
	}
	for _, i := range d.stale {
		last = max(last, i.ID)
	}
	return last, nil
}

func (d *database) Since(_ context.Context, after int64, within time.Duration) ([]models.Invalidation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tableDown {
		return nil, errDown
	}
	oldest := time.Now().Add(-within)
	found := slices.Clone(d.stale)
	return slices.DeleteFunc(found, func(i models.Invalidation) bool {
		return i.ID <= after && i.CreatedAt.Before(oldest)
	}), nil
}
