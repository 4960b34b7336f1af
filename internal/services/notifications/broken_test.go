package notifications_test

import (
	"context"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/notifications"
)

// failing keeps no new deliveries.
type failing struct{ notifications.Deliveries }

func (f failing) CreateMany(context.Context, []models.Delivery) error { return errBroken }
