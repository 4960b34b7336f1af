package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"

	"github.com/viva/rate-limiter/internal/models"
)

// changes tells what the batch made, owners first. Keys that were imported
// together are told of together, and so are the owners made for them: one by
// one, an import of millions would be what the record of changes consists of.
func (b *batch) changes() []models.Change {
	var keys []models.Change
	owners := make([]models.Change, 0, len(b.implicit)+len(b.created))
	theirs := many{action: "owner.create", kind: "owner"}
	imported := many{action: "key.import", kind: "key"}
	for i := range b.created {
		c, from := &b.created[i], b.imports[i]
		together := from != nil && len(b.created) > 1
		if implicit := c.Owner.Implicit; implicit && together { // an owner that was there is implicit no more
			theirs.ids = append(theirs.ids, string(c.Owner.ID))
		} else if implicit {
			owners = append(owners, models.Change{Action: theirs.action, ObjectKind: theirs.kind, ObjectID: string(c.Owner.ID), After: &c.Owner})
		}
		var stale []models.Dependency
		action := "key.create"
		if from != nil {
			action, stale = imported.action, []models.Dependency{{Subject: models.HashSubject(from.Hash), Version: 1}}
		}
		if together {
			imported.ids, imported.stale = append(imported.ids, string(c.Key.ID)), append(imported.stale, stale...)
			continue
		}
		keys = append(keys, models.Change{Action: action, ObjectKind: imported.kind, ObjectID: string(c.Key.ID), After: c.state(), Stale: stale})
	}
	return append(append(owners, theirs.changes()...), append(keys, imported.changes()...)...)
}

// many is one change of many objects.
type many struct {
	action, kind string
	ids          []string
	stale        []models.Dependency
}

// changes gives the change, if there is any. The list of the objects is kept
// beside it: what the change tells binds it, by the SHA-256 of the ids in order, a
// line each.
func (m *many) changes() []models.Change {
	if len(m.ids) == 0 {
		return nil
	}
	slices.Sort(m.ids)
	digest := sha256.New()
	for _, id := range m.ids {
		_, _ = io.WriteString(digest, id+"\n") // a hash never fails
	}
	return []models.Change{{
		Action: m.action, ObjectKind: m.kind, Objects: m.ids, Stale: m.stale,
		After: struct {
			Count  int    `json:"count"`
			First  string `json:"first"`
			Last   string `json:"last"`
			SHA256 string `json:"sha256"`
		}{len(m.ids), m.ids[0], m.ids[len(m.ids)-1], hex.EncodeToString(digest.Sum(nil))},
	}}
}
