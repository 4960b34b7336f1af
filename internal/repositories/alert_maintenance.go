package repositories

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/viva/rate-limiter/internal/models"
)

// MaintenanceWindows keeps the times in which alerts are not told.
type MaintenanceWindows struct{ db *DB }

// NewMaintenanceWindows makes the repository.
func NewMaintenanceWindows(db *DB) MaintenanceWindows { return MaintenanceWindows{db} }

const maintenanceNoun = "maintenance window"

// Create stores a new window.
func (r MaintenanceWindows) Create(ctx context.Context, w *models.MaintenanceWindow) error {
	return create(ctx, r.db, maintenanceNoun, w)
}

// Find gives a window.
func (r MaintenanceWindows) Find(ctx context.Context, id models.MaintenanceID) (*models.MaintenanceWindow, error) {
	return find[models.MaintenanceWindow](ctx, r.db, maintenanceNoun, byID(id))
}

// Lock gives a window and keeps it from changing until the transaction ends.
func (r MaintenanceWindows) Lock(ctx context.Context, id models.MaintenanceID) (*models.MaintenanceWindow, error) {
	return find[models.MaintenanceWindow](ctx, r.db, maintenanceNoun, locked(byID(id)))
}

// List gives a page of the windows, sorted by one of [MaintenanceSorts].
func (r MaintenanceWindows) List(ctx context.Context, page models.Page) ([]models.MaintenanceWindow, error) {
	return list[models.MaintenanceWindow](ctx, r.db, maintenanceNoun, page, MaintenanceSorts, all)
}

// Open gives the windows that are open at an instant.
func (r MaintenanceWindows) Open(ctx context.Context, at time.Time) (rows []models.MaintenanceWindow, err error) {
	err = r.db.do(ctx, maintenanceNoun, func(g *gorm.DB) error {
		return g.Where("ends_at > ? AND starts_at <= ?", at, at).Order("id").Find(&rows).Error
	})
	return rows, err
}

// Update stores a changed window and moves it to the next version.
func (r MaintenanceWindows) Update(ctx context.Context, w *models.MaintenanceWindow) error {
	return update(ctx, r.db, maintenanceNoun, w, w.ID, &w.Version, &w.UpdatedAt)
}

// Delete erases a window.
func (r MaintenanceWindows) Delete(ctx context.Context, id models.MaintenanceID) error {
	return erase[models.MaintenanceWindow](ctx, r.db, maintenanceNoun, id)
}
