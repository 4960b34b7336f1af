package repositories

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Pool is the pool of connections, for what watches it.
func (db *DB) Pool() *sql.DB { return db.pool }

// Counts counts rows for those who watch the service. Each count looks at a
// bounded number of rows, and finds them by an index: it is asked for often.
type Counts struct{ db *DB }

// NewCounts makes the repository.
func NewCounts(db *DB) Counts { return Counts{db} }

const (
	// mostCounted bounds the rows of one count.
	mostCounted = 100_000
	// endedWithin is for how long deliveries that ended are counted.
	endedWithin = time.Hour
)

// Count is how many rows there are of a kind in a state.
type Count struct {
	Kind, State string
	Rows        int64 `gorm:"column:n"`
}

// Deliveries counts pending deliveries, and those that ended within an hour, by
// state.
func (r Counts) Deliveries(ctx context.Context) ([]Count, error) {
	return r.count(ctx, deliveryNoun,
		"SELECT '' AS kind, state, COUNT(*) AS n FROM (SELECT state FROM deliveries WHERE state = ? LIMIT ?) AS pending GROUP BY state UNION ALL"+
			" SELECT '' AS kind, state, COUNT(*) AS n FROM (SELECT state FROM deliveries WHERE finished_at > "+r.db.ago+" LIMIT ?) AS ended GROUP BY state",
		models.DeliveryPending, mostCounted, endedWithin.Microseconds(), mostCounted)
}

// Destinations counts destinations by type and by whether they are active,
// failing or disabled.
func (r Counts) Destinations(ctx context.Context) ([]Count, error) {
	return r.count(ctx, destinationNoun, "SELECT type AS kind, state, COUNT(*) AS n FROM (SELECT type,"+
		" CASE WHEN disabled_at IS NOT NULL THEN 'disabled' WHEN failing_since IS NOT NULL THEN 'failing' ELSE 'active' END AS state"+
		" FROM destinations) AS d GROUP BY type, state")
}

// Alerts counts alerts whose cause is there and that are not resolved, by kind
// and state.
func (r Counts) Alerts(ctx context.Context) ([]Count, error) {
	return r.count(ctx, alertNoun, "SELECT kind, state, COUNT(*) AS n FROM"+
		" (SELECT kind, state FROM alerts WHERE live AND state <> ? LIMIT ?) AS a GROUP BY kind, state", models.AlertResolved, mostCounted)
}

func (r Counts) count(ctx context.Context, noun, query string, args ...any) (counts []Count, err error) {
	err = r.db.do(ctx, noun, func(g *gorm.DB) error { return g.Raw(query, args...).Scan(&counts).Error })
	return counts, err
}
