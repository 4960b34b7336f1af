package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/viva/rate-limiter/bench/e2e/load"
	"github.com/viva/rate-limiter/bench/e2e/servers"
	"github.com/viva/rate-limiter/bench/workload"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// The plans that keys are on, each key with an owner of its own.
const (
	open = "bench-open" // admits all of a run
	shut = "bench-shut" // admits one call an hour
)

// deniedKeys is how many keys of the plan shut there are beside those of the plan open.
const deniedKeys = 1_000

// secrets makes the secrets of the n keys of a plan: the same ones each time, so that a folder of keys can be kept.
func secrets(plan string, n int) *load.Keys {
	const digits, head, random = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "viva_live_", 32
	keys := &load.Keys{Width: len(head) + random + 6}
	keys.Text = make([]byte, 0, n*keys.Width)
	source := rand.New(rand.NewPCG(uint64(crc32.ChecksumIEEE([]byte(plan))), 1))
	for range n {
		start := len(keys.Text)
		keys.Text = append(keys.Text, head...)
		for range random {
			keys.Text = append(keys.Text, digits[source.Uint64N(62)])
		}
		var sum [6]byte
		rest := crc32.ChecksumIEEE(keys.Text[start:])
		for i := range sum {
			sum[len(sum)-1-i], rest = digits[rest%62], rest/62
		}
		keys.Text = append(keys.Text, sum[:]...)
	}
	return keys
}

// populate makes the plans and the keys in an empty service.
func populate(ctx context.Context, v *servers.Viva, n int) error {
	c, err := v.Client()
	if err != nil {
		return err
	}
	for plan, limit := range map[string]int64{open: servers.Limit, shut: 1} {
		rule := client.Rule{Name: "per-hour", Limit: limit, Window: time.Hour}
		if _, err := c.Plans.Create(ctx, client.NewPlan{Name: plan, Rules: []client.Rule{rule}}); err != nil {
			return fmt.Errorf("make the plan %s: %w", plan, err)
		}
	}
	if err := importKeys(ctx, c, open, n); err != nil {
		return err
	}
	return importKeys(ctx, c, shut, deniedKeys)
}

// importKeys imports keys by the hashes of their secrets, a thousand at a time.
func importKeys(ctx context.Context, c *client.Client, plan string, n int) error {
	keys := secrets(plan, n)
	for first := 0; first < n; first += 1000 {
		batch := make([]client.NewKey, min(1000, n-first))
		for i := range batch {
			secret := string(keys.At(first + i))
			batch[i] = client.NewKey{Name: fmt.Sprint("key ", first+i), Plan: plan, Import: &client.Import{
				Hash: apikey.Sum(secret).String(), Mask: apikey.Mask(secret),
			}}
		}
		if _, err := c.Keys.CreateMany(ctx, batch); err != nil {
			return fmt.Errorf("import keys from %d on: %w", first, err)
		}
	}
	return nil
}

// warmers is how many ask at the same time when keys are checked for the first time: each waits for the database.
const warmers = 8

// warm checks every key once: from then on they are in memory, and those of the plan shut are used up.
func warm(ctx context.Context, v *servers.Viva, plan string, n int) error {
	c, err := v.Client()
	if err != nil {
		return err
	}
	keys, failed := secrets(plan, n), make([]error, warmers)
	var all sync.WaitGroup
	for w := range warmers {
		all.Go(func() {
			for first := w * batchSize; first < n && failed[w] == nil; first += warmers * batchSize {
				failed[w] = checkOnce(ctx, c, keys, first, min(first+batchSize, n))
			}
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("check all keys of %s: %w", v.Name, err)
	}
	return nil
}

// checkOnce checks the keys from the first up to the last, which is not among them.
func checkOnce(ctx context.Context, c *client.Client, keys *load.Keys, first, last int) error {
	batch := make([]client.Check, last-first)
	for i := range batch {
		batch[i].APIKey = string(keys.At(first + i))
	}
	answers, err := c.ValidateBatch(ctx, batch)
	if err != nil {
		return err
	}
	for i := range answers {
		if !answers[i].Allowed {
			return fmt.Errorf("key %d is refused: %s", first+i, answers[i].Code)
		}
	}
	return nil
}

// folder copies a data folder with n keys to a place. The first time it is made, and kept in the cache.
func (b *run) folder(ctx context.Context, n int, place string) error {
	version, err := schema(b.root)
	if err != nil {
		return err
	}
	kept := filepath.Join(b.cache, fmt.Sprintf("keys-%s-%s", workload.Count(n), version))
	if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) {
		b.log("making %s keys: kept for the next time in %s", workload.Count(n), kept)
		if err := b.makeFolder(ctx, n, kept); err != nil {
			return fmt.Errorf("make a folder of %d keys: %w", n, err)
		}
	}
	if err := os.CopyFS(place, os.DirFS(kept)); err != nil {
		return fmt.Errorf("copy the folder of %d keys: %w", n, err)
	}
	return os.Chmod(filepath.Join(place, "admin.header"), 0o600)
}

func (b *run) makeFolder(ctx context.Context, n int, kept string) error {
	// Those of earlier schemas are of no more use.
	older, err := filepath.Glob(filepath.Join(b.cache, fmt.Sprintf("keys-%s-*", workload.Count(n))))
	if err != nil {
		return err
	}
	for _, folder := range older {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	making := kept + ".part"
	v, err := servers.Embedded(ctx, "viva-import", b.programs, making)
	if err != nil {
		return err
	}
	if err := errors.Join(populate(ctx, v, n), v.Stop()); err != nil {
		return errors.Join(err, os.RemoveAll(making))
	}
	return os.Rename(making, kept)
}

// schema names the version of what is in a data folder: that of the migrations, and of the keys made here.
func schema(root string) (string, error) {
	const keys = "1"
	sum := sha256.New()
	sum.Write([]byte(keys))
	migrations := os.DirFS(filepath.Join(root, "migrations", "sqlite"))
	err := fs.WalkDir(migrations, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(migrations, path)
		sum.Write(append([]byte(path), content...))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the migrations: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}
