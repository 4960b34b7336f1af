package alerts

import (
	"context"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Bounds of maintenance windows.
const (
	MaxMaintenance      = 31 * 24 * time.Hour
	MaxMaintenanceRules = 100
)

// NewWindow describes a maintenance window.
type NewWindow struct {
	Name     string
	StartsAt time.Time
	EndsAt   time.Time
	Rules    []string // ids or names; none is all
	Owner    string   // id or external id; none is all
}

// CreateWindow makes a maintenance window.
func (s *Service) CreateWindow(ctx context.Context, n NewWindow) (*models.MaintenanceWindow, error) {
	now := s.Now()
	w := &models.MaintenanceWindow{
		ID: models.NewID[models.MaintenanceID](), Name: n.Name, StartsAt: n.StartsAt, EndsAt: n.EndsAt,
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		if err := s.checkWindow(ctx, w, &n.Rules, &n.Owner); err != nil {
			return err
		}
		if err := s.Windows.Create(ctx, w); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "maintenance_window.create", ObjectKind: "maintenance_window", ObjectID: string(w.ID), After: *w,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("create maintenance window: %w", err)
	}
	return w, nil
}

// FindWindow gives a maintenance window.
func (s *Service) FindWindow(ctx context.Context, id models.MaintenanceID) (*models.MaintenanceWindow, error) {
	return s.Windows.Find(ctx, id)
}

// ListWindows gives a page of the maintenance windows.
func (s *Service) ListWindows(ctx context.Context, page models.Page) ([]models.MaintenanceWindow, error) {
	return s.Windows.List(ctx, page)
}

// WindowPatch changes a maintenance window; nil fields stay.
type WindowPatch struct {
	Name     *string
	StartsAt *time.Time
	EndsAt   *time.Time
	Rules    *[]string
	Owner    *string // "" is all
}

// UpdateWindow changes a maintenance window that is still at the version the
// caller saw. Alerts that it kept from being told are told as soon as it covers
// them no longer.
func (s *Service) UpdateWindow(ctx context.Context, id models.MaintenanceID, version int64, p WindowPatch) (after *models.MaintenanceWindow, err error) {
	err = s.Changes.InTx(ctx, func(ctx context.Context) error {
		w, err := s.Windows.Lock(ctx, id)
		if err != nil {
			return err
		}
		if err := models.CheckVersion(version, w.Version); err != nil {
			return err
		}
		before := *w
		models.Assign(&w.Name, p.Name)
		models.Assign(&w.StartsAt, p.StartsAt)
		models.Assign(&w.EndsAt, p.EndsAt)
		if err := s.checkWindow(ctx, w, p.Rules, p.Owner); err != nil {
			return err
		}
		if err := s.Windows.Update(ctx, w); err != nil {
			return err
		}
		after = w
		return s.Changes.Record(ctx, models.Change{
			Action: "maintenance_window.update", ObjectKind: "maintenance_window", ObjectID: string(w.ID), Before: before, After: *w,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("update maintenance window: %w", err)
	}
	return after, nil
}

// DeleteWindow erases a maintenance window, which ends it.
func (s *Service) DeleteWindow(ctx context.Context, id models.MaintenanceID) error {
	err := s.Changes.InTx(ctx, func(ctx context.Context) error {
		w, err := s.Windows.Lock(ctx, id)
		if err != nil {
			return err
		}
		if err := s.Windows.Delete(ctx, w.ID); err != nil {
			return err
		}
		return s.Changes.Record(ctx, models.Change{
			Action: "maintenance_window.delete", ObjectKind: "maintenance_window", ObjectID: string(w.ID), Before: *w,
		})
	})
	if err != nil {
		return fmt.Errorf("delete maintenance window: %w", err)
	}
	return nil
}

// checkWindow sets the rules and the owner that are given, and names all that is
// wrong.
func (s *Service) checkWindow(ctx context.Context, w *models.MaintenanceWindow, rules *[]string, owner *string) error {
	var v apierror.Validator
	models.ValidateName(&v, "name", w.Name)
	models.ValidateInstant(&v, "starts_at", &w.StartsAt)
	models.ValidateInstant(&v, "ends_at", &w.EndsAt)
	length := w.EndsAt.Sub(w.StartsAt)
	v.Check(length > 0 && length <= MaxMaintenance, "ends_at", "must be after starts_at, by at most 31 days")
	if rules != nil {
		v.Checkf(len(*rules) <= MaxMaintenanceRules, "rules", "must hold at most %d rules", MaxMaintenanceRules)
	}
	if err := v.Err(); err != nil {
		return err
	}
	w.StartsAt, w.EndsAt = *models.NormalizeInstant(&w.StartsAt), *models.NormalizeInstant(&w.EndsAt)
	if rules != nil {
		w.RuleIDs = nil
		for i, ref := range *rules {
			rule, err := s.Rules.Find(ctx, ref)
			if err != nil {
				return models.MissingRef(err, apierror.Body, fmt.Sprintf("rules[%d]", i), "alert rule")
			}
			w.RuleIDs = append(w.RuleIDs, rule.ID)
		}
	}
	if owner != nil {
		w.OwnerID = nil
		if *owner != "" {
			found, err := s.Owners.Find(ctx, *owner)
			if err != nil {
				return models.MissingRef(err, apierror.Body, "owner", "owner")
			}
			w.OwnerID = &found.ID
		}
	}
	return nil
}
