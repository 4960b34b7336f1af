package violations

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

const (
	// mostIPs bounds the addresses of a key that are looked at in one run: those
	// that were refused most.
	mostIPs = 50
	// suspendKeys bounds the keys suspended in one transaction, and suspendRounds
	// the transactions of one run.
	suspendKeys   = 50
	suspendRounds = 20
)

// suspect is who may abuse the service.
type suspect struct {
	kind  string // key, owner, ip
	id    string
	key   *models.APIKey // through which it was found
	owner string         // of the key, as the caller names it
	limit Threshold
	count func(ctx context.Context, from time.Time) (int64, error)
	// keys gives those to suspend beyond one, in the order of their ids.
	keys func(ctx context.Context, found time.Time, beyond models.KeyID) ([]models.KeyID, error)
}

func (p *suspect) subject() string { return p.kind + ":" + p.id }

// Analyze is the job security:analyze of a key: it looks whether the key, its
// owner or an address it was refused to was refused so often that it is abuse,
// tells of each episode of it once, and suspends keys where the thresholds say
// so. Nothing that goes on is suspended or told of again.
func (s *Service) Analyze(ctx context.Context, keyID string) (again time.Duration, err error) {
	id, err := models.ParseID[models.KeyID](keyID)
	if err != nil {
		return 0, fmt.Errorf("abuse of key %q: %w", keyID, err)
	}
	key, err := s.deps.Keys.Find(ctx, id)
	if errors.Is(err, apierror.CodeNotFound) {
		return 0, nil // erased meanwhile
	}
	if err != nil {
		return 0, err
	}
	suspects, err := s.suspects(ctx, key)
	if err != nil {
		return 0, err
	}
	for i := range suspects {
		more, err := s.look(ctx, &suspects[i])
		if err != nil {
			return 0, err
		}
		if more {
			again = soon
		}
	}
	return again, nil
}

// suspects lists whom the refusals of a key may tell of.
func (s *Service) suspects(ctx context.Context, key *models.APIKey) ([]suspect, error) {
	o, store := &s.deps.Options, s.deps.Store
	owners, err := s.deps.Owners.FindMany(ctx, []models.OwnerID{key.OwnerID})
	if err != nil {
		return nil, err
	}
	owner := owners[key.OwnerID]
	list := []suspect{{
		kind: "key", id: string(key.ID), key: key, owner: owner.Ref(), limit: o.Key,
		count: func(ctx context.Context, from time.Time) (int64, error) { return store.DenialsOfKey(ctx, key.ID, from) },
		keys: func(_ context.Context, _ time.Time, beyond models.KeyID) ([]models.KeyID, error) {
			if beyond != "" {
				return nil, nil
			}
			return []models.KeyID{key.ID}, nil
		},
	}, {
		kind: "owner", id: string(key.OwnerID), key: key, owner: owner.Ref(), limit: o.Owner,
		count: func(ctx context.Context, from time.Time) (int64, error) {
			return store.DenialsOfOwner(ctx, key.OwnerID, from)
		},
		keys: func(ctx context.Context, _ time.Time, beyond models.KeyID) ([]models.KeyID, error) {
			return s.deps.Keys.ActiveOf(ctx, key.OwnerID, beyond, s.deps.Now(), suspendKeys)
		},
	}}
	if o.IP.Denials == 0 {
		return list, nil
	}
	ips, err := store.IPsOf(ctx, key.ID, since(s.deps.Now(), o.IP.Window), mostIPs)
	for _, ip := range ips {
		list = append(list, suspect{
			kind: "ip", id: ip, key: key, limit: o.IP,
			count: func(ctx context.Context, from time.Time) (int64, error) { return store.DenialsOfIP(ctx, ip, from) },
			keys: func(ctx context.Context, found time.Time, beyond models.KeyID) ([]models.KeyID, error) {
				return store.KeysOfIP(ctx, ip, since(found, o.IP.Window), beyond, suspendKeys)
			},
		})
	}
	return list, err
}

// since gives the first minute that begins within a window before now.
func since(now time.Time, window time.Duration) time.Time {
	return now.Add(-window).Truncate(time.Minute).Add(time.Minute)
}

// look looks whether a suspect is refused too often, and does what is to be
// done; more tells that there are further keys to suspend.
func (s *Service) look(ctx context.Context, p *suspect) (more bool, err error) {
	if p.limit.Denials == 0 {
		return false, nil
	}
	now := s.deps.Now()
	last, err := s.deps.Episodes.Find(ctx, p.subject())
	if err != nil && !errors.Is(err, apierror.CodeNotFound) {
		return false, err
	}
	from := since(now, p.limit.Window)
	if last != nil && last.SuspendedUntil != nil {
		if now.Before(*last.SuspendedUntil) {
			return s.suspend(ctx, p) // should it not have come to its end
		}
		// What came before the suspension has been paid for.
		if ended := since(*last.SuspendedUntil, 0); ended.After(from) {
			from = ended
		}
	}
	denials, err := p.count(ctx, from)
	if err != nil || denials < p.limit.Denials {
		return false, err
	}
	e := &models.AbuseEpisode{Subject: p.subject(), StartedAt: now, SeenAt: now, Denials: denials}
	if p.limit.SuspendFor > 0 {
		if p.kind == "key" && p.key.Status(now) != models.KeyActive {
			return false, nil // it is refused anyway
		}
		until := now.Add(p.limit.SuspendFor).Truncate(time.Microsecond)
		e.SuspendedUntil, e.Pending = &until, true
	}
	if err := s.open(ctx, p, e, last); err != nil {
		return false, err
	}
	return s.suspend(ctx, p)
}

// open begins an episode and tells of it. Of one that goes on it is noted now
// and then that it does.
func (s *Service) open(ctx context.Context, p *suspect, e, last *models.AbuseEpisode) error {
	quiet := e.SeenAt.Add(-p.limit.Window)
	if e.Pending {
		quiet = e.SeenAt // what was only told of before is suspended now
	}
	if last != nil && last.SuspendedUntil == nil && last.SeenAt.After(quiet) {
		if e.SeenAt.Sub(last.SeenAt) < p.limit.Window/10 {
			return nil
		}
		return s.deps.Episodes.Seen(ctx, e.Subject, e.SeenAt)
	}
	return s.deps.Transactions.InTx(ctx, func(ctx context.Context) error {
		opened, err := s.deps.Episodes.Open(ctx, e, quiet)
		if err != nil || !opened || e.Pending {
			return err // suspensions are told of key by key
		}
		return s.deps.Notices.Add(ctx, detected(p, e))
	})
}

// suspend suspends the keys of an episode that are yet to be, a few at a time.
// What others do at once waits for the row of the episode, and goes on from
// there.
func (s *Service) suspend(ctx context.Context, p *suspect) (more bool, err error) {
	if p.limit.SuspendFor == 0 {
		return false, nil
	}
	for range suspendRounds {
		if more, err = s.suspendSome(ctx, p); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

func (s *Service) suspendSome(ctx context.Context, p *suspect) (more bool, err error) {
	err = s.deps.Transactions.InTx(ctx, func(ctx context.Context) error {
		more = false
		e, err := s.deps.Episodes.Lock(ctx, p.subject())
		if errors.Is(err, apierror.CodeNotFound) {
			return nil
		}
		if err != nil || !e.Pending || !s.deps.Now().Before(*e.SuspendedUntil) {
			return err
		}
		ids, err := p.keys(ctx, e.StartedAt, models.KeyID(e.Progress))
		if err != nil {
			return err
		}
		var notices []models.Notice
		for _, id := range ids {
			suspended, err := s.deps.Suspender.SuspendActive(ctx, id, *e.SuspendedUntil, "abuse: "+p.what(e.Denials))
			// One may have been erased meanwhile, which an address had used.
			if err != nil && !errors.Is(err, apierror.CodeNotFound) {
				return err
			}
			if suspended {
				notices = append(notices, told(p, e, id))
			}
			e.Progress = string(id)
		}
		e.Pending = len(ids) == suspendKeys
		more = e.Pending
		if err := s.deps.Episodes.Advance(ctx, e); err != nil {
			return err
		}
		// At last: all who tell of something wait for each other in this, and must
		// not wait for keys then.
		return s.deps.Notices.Add(ctx, notices...)
	})
	return more, err
}

// told tells that a key was suspended.
func told(p *suspect, e *models.AbuseEpisode, id models.KeyID) models.Notice {
	n := p.notice(e, models.Event{
		Type: models.EventKeySuspended, Severity: models.SeverityCritical, Title: "An API key was suspended for abuse", KeyID: id,
		Text: fmt.Sprintf("The key %s is refused until %s: %s.", id, e.SuspendedUntil.UTC().Format(time.RFC3339), p.what(e.Denials)),
	})
	n.DedupKey = fmt.Sprintf("key.suspended:%s:%d", id, e.SuspendedUntil.UnixMicro())
	n.Event.Data["suspended_until"] = e.SuspendedUntil.UTC().Format(time.RFC3339Nano)
	return n
}

// detected tells of an episode.
func detected(p *suspect, e *models.AbuseEpisode) models.Notice {
	return p.notice(e, models.Event{
		Type: models.EventAbuseDetected, Severity: models.SeverityCritical,
		Title: fmt.Sprintf("Abuse by %s %s", map[string]string{"key": "API key", "owner": "owner", "ip": "address"}[p.kind], p.id),
		Text:  p.what(e.Denials) + ". Nothing was suspended.",
	})
}

// notice fills what is the same for all that is told of an episode.
func (p *suspect) notice(e *models.AbuseEpisode, event models.Event) models.Notice {
	event.At, event.Data = e.StartedAt, map[string]string{
		"subject": e.Subject, "denials": strconv.FormatInt(e.Denials, 10),
		"threshold": strconv.FormatInt(p.limit.Denials, 10), "window": p.limit.Window.String(),
	}
	if p.kind != "ip" {
		event.OwnerID, event.Owner = p.key.OwnerID, p.owner
	}
	if p.kind == "key" {
		event.KeyID = p.key.ID
	}
	return models.Notice{DedupKey: fmt.Sprintf("abuse:%s:%d", e.Subject, e.StartedAt.UnixMicro()), Event: event}
}

// what says what was found, in a few words.
func (p *suspect) what(denials int64) string {
	whose := map[string]string{"key": "of the key", "owner": "of the keys of the owner", "ip": "of calls from " + p.id}[p.kind]
	return fmt.Sprintf("%d refusals %s in %s", denials, whose, p.limit.Window)
}
