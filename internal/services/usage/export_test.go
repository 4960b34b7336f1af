package usage

import "context"

// Once brings in one batch of each stream, as Run does again and again.
func (i *Ingester) Once(ctx context.Context) error {
	_, err := i.once(ctx)
	return err
}
