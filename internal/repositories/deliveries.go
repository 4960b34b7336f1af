package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// Deliveries keeps what goes to destinations, and how each attempt ended.
type Deliveries struct{ db *DB }

// NewDeliveries makes the repository.
func NewDeliveries(db *DB) Deliveries { return Deliveries{db} }

const (
	deliveryNoun = "delivery"
	// deliveryRows bounds the rows that one statement erases.
	deliveryRows = 1000
	// isPending is not a parameter: an index of these rows alone would not serve.
	isPending = "state = '" + string(models.DeliveryPending) + "'"
)

// DeliverySorts are the fields their list may be sorted by.
var DeliverySorts = []string{"created_at"}

// CreateMany stores new deliveries, all of them or none.
func (r Deliveries) CreateMany(ctx context.Context, list []models.Delivery) error {
	return createMany(ctx, r.db, deliveryNoun, list)
}

// Find gives a delivery.
func (r Deliveries) Find(ctx context.Context, id models.DeliveryID) (*models.Delivery, error) {
	return find[models.Delivery](ctx, r.db, deliveryNoun, byID(id))
}

// Lock gives a delivery and keeps it from changing until the transaction ends.
// Who locks its destination as well has done so before.
func (r Deliveries) Lock(ctx context.Context, id models.DeliveryID) (*models.Delivery, error) {
	return find[models.Delivery](ctx, r.db, deliveryNoun, locked(byID(id)))
}

// Waiting locks the deliveries to a destination and addresses that nobody has
// tried to send, those made again apart: more can be said in them.
func (r Deliveries) Waiting(ctx context.Context, destination models.DestinationID, recipients []string) (list []models.Delivery, err error) {
	for begin := 0; begin < len(recipients); begin += insertRows {
		batch := recipients[begin:min(begin+insertRows, len(recipients))]
		var rows []models.Delivery
		err = r.db.do(ctx, deliveryNoun, func(g *gorm.DB) error {
			return locked(all)(g).Where("destination_id = ? AND recipient IN ? AND "+isPending+" AND attempts = 0 AND origin_id IS NULL",
				destination, batch).Order("id").Find(&rows).Error
		})
		if err != nil {
			return nil, err
		}
		list = append(list, rows...)
	}
	return list, nil
}

// List gives a page of the deliveries that match, sorted by one of [DeliverySorts].
func (r Deliveries) List(ctx context.Context, f models.DeliveryFilter, page models.Page) ([]models.Delivery, error) {
	return list[models.Delivery](ctx, r.db, deliveryNoun, page, DeliverySorts, func(g *gorm.DB) *gorm.DB {
		if f.DestinationID != "" {
			g = g.Where("destination_id = ?", f.DestinationID)
		}
		if f.State != "" {
			g = g.Where("state = ?", f.State)
		}
		if !f.Since.IsZero() {
			g = g.Where("created_at >= ?", f.Since)
		}
		return g
	})
}

// Save stores a changed delivery, which the transaction has locked.
func (r Deliveries) Save(ctx context.Context, d *models.Delivery) error {
	return r.db.do(ctx, deliveryNoun, func(g *gorm.DB) error {
		result := g.Select("*").Omit("created_at").UpdateColumns(d)
		if result.Error == nil && result.RowsAffected == 0 {
			return gorm.ErrRecordNotFound
		}
		return result.Error
	})
}

// CancelPending gives up what waits for a destination, and tells how many that
// were. The transaction has locked the destination.
func (r Deliveries) CancelPending(ctx context.Context, destination models.DestinationID, now time.Time) (n int64, err error) {
	err = r.db.do(ctx, deliveryNoun, func(g *gorm.DB) error {
		result := g.Model(&models.Delivery{}).Where("destination_id = ? AND "+isPending, destination).
			UpdateColumns(map[string]any{"state": models.DeliveryCanceled, "finished_at": now, "next_at": nil, "claimed_until": nil})
		n = result.RowsAffected
		return result.Error
	})
	return n, err
}

// Prune erases the deliveries, with their attempts, that were finished before
// an instant. Each batch is a transaction of its own.
func (r Deliveries) Prune(ctx context.Context, before time.Time) (total int64, err error) {
	err = r.db.repeat(ctx, deliveryNoun, func(g *gorm.DB) (int64, error) {
		result := g.Exec("DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE finished_at < ? ORDER BY finished_at LIMIT ?)",
			before, deliveryRows)
		total += result.RowsAffected
		return result.RowsAffected, result.Error
	})
	return total, err
}

// ForgetOwner erases an owner's address from everything that went to it, and
// what attempts kept of the conversation, which shows it too. What still waits
// is given up. Where until is not zero, deliveries made after it stay. It tells of
// how many deliveries that was.
func (r Deliveries) ForgetOwner(ctx context.Context, owner models.OwnerID, until time.Time) (n int64, err error) {
	theirs := func(g *gorm.DB) *gorm.DB {
		if g = g.Model(&models.Delivery{}).Where("owner_id = ?", owner); !until.IsZero() {
			g = g.Where("created_at <= ?", until)
		}
		return g
	}
	err = r.db.InTx(ctx, func(ctx context.Context) error {
		return r.db.do(ctx, deliveryNoun, func(g *gorm.DB) error {
			pending := theirs(g).Where(isPending).
				UpdateColumns(map[string]any{"state": models.DeliveryCanceled, "finished_at": r.db.now(), "next_at": nil, "claimed_until": nil})
			if pending.Error != nil {
				return pending.Error
			}
			attempts := g.Model(&models.DeliveryAttempt{}).
				Where("delivery_id IN (?)", theirs(g).Select("id").Where("recipient <> ''")).
				UpdateColumns(map[string]any{"request": "", "response": "", "error": ""})
			if attempts.Error != nil {
				return attempts.Error
			}
			emptied := theirs(g).Where("recipient <> ''").UpdateColumn("recipient", "")
			n = emptied.RowsAffected
			return emptied.Error
		})
	})
	return n, err
}
