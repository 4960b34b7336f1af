package repositories

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/viva/rate-limiter/internal/models"
)

// Destinations keeps where notifications go. A ref is an id or a name.
type Destinations struct{ db *DB }

// NewDestinations makes the repository.
func NewDestinations(db *DB) Destinations { return Destinations{db} }

const destinationNoun = "destination"

// DestinationSorts are the fields their list may be sorted by.
var DestinationSorts = []string{"created_at", "name"}

// Create stores a new destination, whose name must not be taken.
func (r Destinations) Create(ctx context.Context, d *models.Destination) error {
	return create(ctx, r.db, destinationNoun, d)
}

// Find gives a destination.
func (r Destinations) Find(ctx context.Context, ref string) (*models.Destination, error) {
	return find[models.Destination](ctx, r.db, destinationNoun, byRef("name", ref))
}

// Lock gives a destination and keeps it from changing until the transaction
// ends. Who locks deliveries as well locks them afterwards.
func (r Destinations) Lock(ctx context.Context, ref string) (*models.Destination, error) {
	return find[models.Destination](ctx, r.db, destinationNoun, locked(byRef("name", ref)))
}

// List gives a page of the destinations, sorted by one of [DestinationSorts].
func (r Destinations) List(ctx context.Context, page models.Page) ([]models.Destination, error) {
	return list[models.Destination](ctx, r.db, destinationNoun, page, DestinationSorts, all)
}

// Enabled gives all that are told of things, in the order of their ids.
func (r Destinations) Enabled(ctx context.Context) (list []models.Destination, err error) {
	err = r.db.do(ctx, destinationNoun, func(g *gorm.DB) error {
		return g.Where("disabled_at IS NULL").Order("id").Find(&list).Error
	})
	return list, err
}

// Count tells how many there are, in a transaction that may make another one.
// It locks them first, so that two of those come one after the other.
func (r Destinations) Count(ctx context.Context) (n int64, err error) {
	err = r.db.do(ctx, destinationNoun, func(g *gorm.DB) error {
		var ids []models.DestinationID
		err := g.Model(&models.Destination{}).Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
			Order("id").Pluck("id", &ids).Error
		if err != nil {
			return err
		}
		// A statement of its own sees what was committed while it waited.
		return g.Model(&models.Destination{}).Count(&n).Error
	})
	return n, err
}

// RulesNaming gives the names of the alert rules that are told to a destination
// and not to whoever wants to hear of them.
func (r Destinations) RulesNaming(ctx context.Context, id models.DestinationID) (names []string, err error) {
	var rules []models.AlertRule
	err = r.db.do(ctx, "alert rule", func(g *gorm.DB) error {
		return g.Select("name", "destinations").Where("destinations IS NOT NULL").Order("name").Find(&rules).Error
	})
	for i := range rules {
		if slices.Contains(rules[i].Destinations, id) {
			names = append(names, rules[i].Name)
		}
	}
	return names, err
}

// Update stores a changed destination and moves it to the next version.
func (r Destinations) Update(ctx context.Context, d *models.Destination) error {
	return update(ctx, r.db, destinationNoun, d, d.ID, &d.Version, &d.UpdatedAt)
}

// Fails notes since when the destination fails, nil where it does not. It is no
// change of the destination: its version stays.
func (r Destinations) Fails(ctx context.Context, id models.DestinationID, since *time.Time) error {
	return r.db.do(ctx, destinationNoun, func(g *gorm.DB) error {
		return g.Model(&models.Destination{}).Where("id = ?", id).UpdateColumn("failing_since", since).Error
	})
}

// Delete erases a destination. What was sent there stays.
func (r Destinations) Delete(ctx context.Context, id models.DestinationID) error {
	return erase[models.Destination](ctx, r.db, destinationNoun, id)
}

// ForgetSecrets erases previous secrets that sign no more at now.
func (r Destinations) ForgetSecrets(ctx context.Context, now time.Time) error {
	return r.db.do(ctx, destinationNoun, func(g *gorm.DB) error {
		return g.Model(&models.Destination{}).Where("secret_previous <> '' AND secret_previous_until <= ?", now).
			UpdateColumns(map[string]any{"secret_previous": "", "secret_previous_until": nil}).Error
	})
}
