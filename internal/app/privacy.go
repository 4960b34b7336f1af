package app

import (
	"context"

	"github.com/viva/rate-limiter/internal/repositories"
	"github.com/viva/rate-limiter/internal/services/privacy"
)

// rememberErasures keeps in memory whose personal data was erased. It knows all
// of them before anything is brought in: a journal may be older than an erasure.
func rememberErasures(db *repositories.DB, l *lifecycle) *privacy.Forgotten {
	forgotten := privacy.NewForgotten(repositories.NewPrivacy(db))
	l.add("erasures known", forgotten.Refresh, func(context.Context) error { return nil })
	l.loop("erasures", forgotten.Run)
	return forgotten
}
