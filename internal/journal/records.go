package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/viva/rate-limiter/internal/models"
)

// Records gives the records of a folder by stream, in their order. Like Inspect
// it changes nothing and takes no lock: what another process deletes meanwhile is
// left out. Payloads are good until each returns.
func Records(dir string, each func(models.StreamID, Entry) error) error {
	streams, _, err := list(dir)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	order := slices.SortedFunc(maps.Values(streams), func(a, b []*segment) int {
		return cmp.Or(a[0].started.Compare(b[0].started), cmp.Compare(a[0].path, b[0].path))
	})
	for _, segments := range order {
		for _, seg := range segments {
			var failed error
			_, err := seg.search(func(r record) {
				if failed == nil {
					failed = each(streamOf(seg.stream), r.entry())
				}
			})
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted since
			}
			if err = errors.Join(failed, err); err != nil {
				return fmt.Errorf("read journal: %w", err)
			}
		}
	}
	return nil
}
