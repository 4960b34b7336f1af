package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/viva/rate-limiter/bench/e2e/servers"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// The keys of a run: every second one has an owner of its own, the others share these owners, the last of which has
// few keys however many there are.
const (
	owners   = 1000
	fewKeys  = 100
	fewOwner = "few"
	rareTag  = "rare"  // of as many keys
	plan     = "bench" // admits all
)

// subject is a service on one engine.
type subject struct {
	run    *run
	engine string
	dir    string

	postgres *servers.Process
	viva     *servers.Viva
	database string
	client   *client.Client
	http     *http
	starts   int
}

func (s *subject) prepare(ctx context.Context) (err error) {
	if s.engine == "postgres" {
		if s.postgres, err = servers.Postgres(ctx, s.dir); err != nil {
			return err
		}
		if s.database, err = servers.CreateDatabase(ctx, s.postgres, "viva"); err != nil {
			return err
		}
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	rule := client.Rule{Name: "per-hour", Limit: 1 << 30, Window: time.Hour}
	if _, err := s.client.Plans.Create(ctx, client.NewPlan{Name: plan, Rules: []client.Rule{rule}}); err != nil {
		return err
	}
	for i := range owners {
		if _, err := s.client.Owners.Create(ctx, client.NewOwner{ExternalID: ownerOf(2*i + 1), Name: fmt.Sprint("owner ", i), Plan: plan}); err != nil {
			return err
		}
	}
	_, err = s.client.Owners.Create(ctx, client.NewOwner{ExternalID: fewOwner, Name: fewOwner, Plan: plan})
	return err
}

// start starts the service, whose journal and token stay where they are.
func (s *subject) start(ctx context.Context) (err error) {
	s.starts++ // each has a log of its own
	var settings []string
	if s.database != "" {
		settings = []string{"VIVA_DATABASE_URL=" + s.database}
	}
	if s.viva, err = servers.Embedded(ctx, fmt.Sprint("viva-", s.starts), s.run.programs, filepath.Join(s.dir, "data"), settings...); err != nil {
		return err
	}
	s.http = newHTTP(s.viva.Addr, s.viva.Token)
	s.client, err = s.viva.Client()
	return err
}

func (s *subject) stop() (err error) {
	if s.viva != nil {
		err = s.viva.Stop()
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Stop())
	}
	return err
}

func secretOf(i int) string { return fmt.Sprintf("sk_imported_%012d", i) }

func ownerOf(i int) string {
	switch {
	case i < 2*fewKeys && i%2 == 0:
		return fewOwner
	case i%2 == 0:
		return ""
	default:
		return fmt.Sprintf("customer-%d", i/2%owners)
	}
}

// load imports the keys from one on up to another by the command that users have.
func (s *subject) load(ctx context.Context, from, to int, got *result) error {
	path := filepath.Join(s.dir, "keys.csv")
	if err := writeKeys(path, from, to); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, filepath.Join(s.run.programs, "viva"), "keys", "import", "--from", path, "--plan", plan,
		"--server", "http://"+s.viva.Addr, "--token-file", filepath.Join(s.dir, "data", "admin.header"))
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	cpu, err := s.viva.CPU()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := command.Run(); err != nil {
		return err
	}
	got.load = time.Since(began)
	got.rate = float64(to-from) / got.load.Seconds()
	got.crowd = crowd()
	used, err := s.viva.CPU()
	if err != nil {
		return err
	}
	used += command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	got.cpu = (used - cpu) / time.Duration(to-from)
	return os.Remove(path)
}

func writeKeys(path string, from, to int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	fmt.Fprintln(w, "hash,name,mask,owner,tags")
	for i := from; i < to; i++ {
		secret, tag := secretOf(i), "common"
		if i < fewKeys {
			tag = rareTag
		}
		fmt.Fprintf(w, "%s,key %d,%s,%s,%s\n", apikey.Sum(secret), i, apikey.Mask(secret), ownerOf(i), tag)
	}
	return errors.Join(w.Flush(), file.Close())
}

// size is how much disk the database takes, in bytes.
func (s *subject) size() (total float64, err error) {
	dir := filepath.Join(s.dir, "data")
	if s.engine == "postgres" {
		dir = filepath.Join(s.dir, "postgres", "data", "base")
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || s.engine == "sqlite" && filepath.Ext(path) != ".db" {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += float64(info.Size())
		}
		return err
	})
	return total, err
}
