package privacy

import (
	"context"
	"fmt"

	"github.com/viva/rate-limiter/internal/models"
)

// erasedName is what an owner is called whose data was erased.
const erasedName = "erased"

// EraseKey empties what is personal of a key: its metadata and the reason of its
// suspension, the addresses and agents its calls came from, and what the record of
// changes holds of these. An owner of its own loses name, email and metadata.
// What was counted stays. Doing it again empties what has come since.
func (s *Service) EraseKey(ctx context.Context, id models.KeyID) (models.ErasedRows, error) {
	key, err := s.deps.Keys.Find(ctx, id)
	if err != nil {
		return models.ErasedRows{}, err
	}
	subjects := []models.DataSubject{models.DataOfKey(key.ID)}
	err = s.deps.Changes.InTx(ctx, func(ctx context.Context) error {
		subjects = subjects[:1]
		own, err := s.emptyKey(ctx, key.ID, true)
		if err != nil {
			return err
		}
		// The owner of one key alone is known by nothing else.
		if owner, err := s.deps.Owners.Find(ctx, string(own.OwnerID)); err != nil {
			return err
		} else if owner.Implicit {
			subjects = append(subjects, models.DataOfOwner(owner.ID))
			return s.emptyOwner(ctx, owner.ID)
		}
		return nil
	})
	if err != nil {
		return models.ErasedRows{}, fmt.Errorf("erase personal data of key %s: %w", id, err)
	}
	return s.erase(ctx, subjects)
}

// EraseOwner does the same for an owner and the keys it holds; its external id
// stays.
func (s *Service) EraseOwner(ctx context.Context, ref string) (models.ErasedRows, error) {
	owner, err := s.deps.Owners.Find(ctx, ref)
	if err != nil {
		return models.ErasedRows{}, err
	}
	err = s.deps.Changes.InTx(ctx, func(ctx context.Context) error { return s.emptyOwner(ctx, owner.ID) })
	if err == nil {
		err = s.eachKey(ctx, owner.ID, func(keys []models.APIKey) error {
			return s.deps.Changes.InTx(ctx, func(ctx context.Context) error {
				for i := range keys {
					if _, err := s.emptyKey(ctx, keys[i].ID, false); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	if err != nil {
		return models.ErasedRows{}, fmt.Errorf("erase personal data of owner %s: %w", owner.ID, err)
	}
	return s.erase(ctx, []models.DataSubject{models.DataOfOwner(owner.ID)})
}

// erase empties the rows about subjects.
func (s *Service) erase(ctx context.Context, subjects []models.DataSubject) (total models.ErasedRows, err error) {
	for _, subject := range subjects {
		n, err := s.deps.Data.Erase(ctx, subject, zero)
		total.Logs += n.Logs
		total.Violations += n.Violations
		total.AuditLogs += n.AuditLogs
		if err != nil {
			return total, fmt.Errorf("erase personal data of %s %s: %w", subject.Kind, subject.ID, err)
		}
	}
	return total, nil
}

// emptyKey empties the key itself. Asked for by itself it is always recorded and
// remembered, for what still comes; as one of an owner only where it changes.
func (s *Service) emptyKey(ctx context.Context, id models.KeyID, alone bool) (*models.APIKey, error) {
	key, err := s.deps.Keys.Lock(ctx, id)
	if err != nil {
		return nil, err
	}
	changed := len(key.Metadata) > 0 || key.SuspendReason != ""
	if changed {
		key.Metadata, key.SuspendReason = nil, ""
		if err := s.deps.Keys.Update(ctx, key); err != nil {
			return nil, err
		}
	}
	if !changed && !alone {
		return key, nil
	}
	return key, s.record(ctx, models.DataOfKey(id), key.Version, alone)
}

func (s *Service) emptyOwner(ctx context.Context, id models.OwnerID) error {
	owner, err := s.deps.Owners.Lock(ctx, string(id))
	if err != nil {
		return err
	}
	if owner.Name != erasedName || owner.Email != "" || len(owner.Metadata) > 0 {
		owner.Name, owner.Email, owner.Metadata = erasedName, "", nil
		if err := s.deps.Owners.Update(ctx, owner); err != nil {
			return err
		}
	}
	return s.record(ctx, models.DataOfOwner(id), owner.Version, true)
}

// record writes down that the data of a subject was erased, and not what it was.
func (s *Service) record(ctx context.Context, subject models.DataSubject, version int64, remember bool) error {
	if remember {
		err := s.deps.Data.Remember(ctx, models.Erasure{SubjectKind: subject.Kind, SubjectID: subject.ID, ErasedAt: s.deps.Now()})
		if err != nil {
			return err
		}
	}
	return s.deps.Changes.Record(ctx, models.Change{
		Action: subject.Kind + models.ActionErasePersonalData, ObjectKind: subject.Kind, ObjectID: subject.ID,
		Stale: []models.Dependency{{Subject: models.SubjectOf(subject.Kind, subject.ID), Version: version}},
	})
}
