package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

// Due finds what has come to its end, at most so many of each.
type Due interface {
	ExpiredKeys(ctx context.Context, now time.Time, most int) ([]models.KeyID, error)
	EndedSuspensions(ctx context.Context, now time.Time, most int) ([]models.KeyID, error)
	KeysOfExpiredSecrets(ctx context.Context, expired time.Time, most int) ([]models.KeyID, error)
}

// Notices tells people and programs, in the transaction of ctx.
type Notices interface {
	Add(ctx context.Context, notices ...models.Notice) error
}

const (
	// dueKeys bounds what is brought to its end in one run, of each kind.
	dueKeys = 200
	// expiredSecretsKeep is how long a secret whose grace has ended is kept:
	// whoever still uses it is told that it has expired, and not that there never
	// was such a key.
	expiredSecretsKeep = 24 * time.Hour
)

// Expirer records and tells what ends by itself. Checks do not wait for it:
// what a key is follows from the time. It is safe for concurrent use.
type Expirer struct {
	service *Service
	due     Due
	notices Notices
}

// NewExpirer makes what ends keys of a service.
func NewExpirer(service *Service, due Due, notices Notices) *Expirer {
	return &Expirer{service: service, due: due, notices: notices}
}

// Expire is the job key:expire, of no subject: it notes and tells that keys have
// expired, takes off suspensions that have ended, and erases secrets a day after
// the end of their grace. Where there is more than it does in one run, it asks
// to run again.
func (e *Expirer) Expire(ctx context.Context, _ string) (again time.Duration, err error) {
	now := e.service.Now()
	var failed []error
	for _, task := range []struct {
		due func() ([]models.KeyID, error)
		end func(ctx context.Context, id models.KeyID) error
	}{
		{func() ([]models.KeyID, error) { return e.due.EndedSuspensions(ctx, now, dueKeys) }, e.activate},
		{func() ([]models.KeyID, error) { return e.due.ExpiredKeys(ctx, now, dueKeys) }, e.note},
		{func() ([]models.KeyID, error) {
			return e.due.KeysOfExpiredSecrets(ctx, now.Add(-expiredSecretsKeep), dueKeys)
		}, e.dropSecrets},
	} {
		ids, err := task.due()
		if err != nil {
			return 0, err
		}
		for _, id := range ids {
			// One that was erased meanwhile has ended as well, and one that fails does
			// not hold up the others.
			if err := task.end(ctx, id); err != nil && !errors.Is(err, apierror.CodeNotFound) {
				failed = append(failed, fmt.Errorf("key %s: %w", id, err))
			}
		}
		if len(ids) == dueKeys {
			again = time.Millisecond
		}
	}
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	return again, nil
}

// activate takes a suspension off that has ended.
func (e *Expirer) activate(ctx context.Context, id models.KeyID) error {
	return e.end(ctx, id, "key.activate", func(ctx context.Context, view *View, now time.Time) (changed bool, err error) {
		key := &view.Key
		if key.RevokedAt != nil || key.SuspendedUntil == nil || key.SuspendedUntil.After(now) {
			return false, nil
		}
		until := *key.SuspendedUntil
		if err := key.Activate(); err != nil || key.Status(now) != models.KeyActive {
			return true, err
		}
		return true, e.notices.Add(ctx, notice(view, now, until, models.Event{
			Type: models.EventKeyActivated, Severity: models.SeverityInfo, Title: fmt.Sprintf("The suspension of key %s has ended", view.title()),
			Text: "The key is active again.",
		}))
	})
}

// note notes that a key has expired.
func (e *Expirer) note(ctx context.Context, id models.KeyID) error {
	return e.end(ctx, id, "key.expire", func(ctx context.Context, view *View, now time.Time) (changed bool, err error) {
		key := &view.Key
		if key.RevokedAt != nil || key.ExpiryNotedAt != nil || key.ExpiresAt == nil || key.ExpiresAt.After(now) {
			return false, nil
		}
		key.ExpiryNotedAt = &now
		return true, e.notices.Add(ctx, notice(view, now, *key.ExpiresAt, models.Event{
			Type: models.EventKeyExpired, Severity: models.SeverityWarning, Title: fmt.Sprintf("Key %s has expired", view.title()),
			Text: "Calls with it are refused. Give it a later end, or its holder another key.",
		}))
	})
}

// dropSecrets erases the secrets of a key whose grace ended long enough ago.
func (e *Expirer) dropSecrets(ctx context.Context, id models.KeyID) error {
	return e.end(ctx, id, "secret.expire", func(ctx context.Context, view *View, now time.Time) (changed bool, err error) {
		before := len(view.Secrets)
		if err := e.service.Secrets.DropSecrets(ctx, id, now.Add(-expiredSecretsKeep)); err != nil {
			return false, err
		}
		secrets, err := e.service.Secrets.SecretsOf(ctx, []models.KeyID{id})
		view.Secrets = secrets[id]
		return len(view.Secrets) < before, err
	})
}

func (e *Expirer) end(ctx context.Context, id models.KeyID, action string,
	fn func(ctx context.Context, view *View, now time.Time) (changed bool, err error),
) error {
	_, err := e.service.change(ctx, id, 0, action, func(ctx context.Context, view *View) (changed bool, err error) {
		return fn(ctx, view, e.service.Now())
	})
	return err
}

// notice tells of what came to its end at an instant, once.
func notice(view *View, now, ended time.Time, event models.Event) models.Notice {
	event.At, event.KeyID, event.OwnerID, event.Owner = now, view.Key.ID, view.Owner.ID, view.Owner.Ref()
	event.Data = map[string]string{"key": view.Key.Name, "ended_at": ended.UTC().Format(time.RFC3339)}
	return models.Notice{DedupKey: fmt.Sprintf("%s:%s:%d", event.Type, view.Key.ID, ended.UnixMicro()), Event: event}
}

// title is how people know the key.
func (v *View) title() string {
	if v.Key.Name != "" {
		return fmt.Sprintf("%q", v.Key.Name)
	}
	return string(v.Key.ID)
}
