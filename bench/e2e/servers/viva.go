package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"

	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// Viva is a running service.
type Viva struct {
	*Process
	Token string
}

// Embedded starts `viva serve` with its data in a folder, and settings beside those it needs.
func Embedded(ctx context.Context, name, programs, data string, settings ...string) (*Viva, error) {
	settings = append([]string{"VIVA_DATA_DIR=" + data, "VIVA_WORKER_ADDR=127.0.0.1:0"}, settings...)
	v, err := viva(ctx, name, programs, data, []string{"viva", "serve"}, settings)
	if err != nil {
		return nil, err
	}
	header, err := os.ReadFile(filepath.Join(data, "admin.header"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find the access token: %w", err), v.Stop())
	}
	found := bearer.FindSubmatch(header)
	if found == nil {
		return nil, errors.Join(errors.New("there is no access token in admin.header"), v.Stop())
	}
	v.Token = string(found[1])
	return v, nil
}

// API starts `api` on a database and a Redis, its journal in a folder. It waits longer for Redis than by default, so
// that on a machine that is too busy it is slow, and does not decide by itself, which is quicker.
func API(ctx context.Context, name, programs, data, database, redis string) (*Viva, error) {
	token := apikey.GenerateToken().Reveal()
	v, err := viva(ctx, name, programs, data, []string{"api"}, []string{
		"VIVA_DATA_DIR=" + data, "VIVA_DATABASE_URL=" + database, "VIVA_REDIS_URL=" + redis,
		"VIVA_ACCESS_BOOTSTRAP_TOKEN=" + token, "VIVA_RATELIMIT_STORE_TIMEOUT=5s",
	})
	if err != nil {
		return nil, err
	}
	v.Token = token
	return v, nil
}

var (
	bearer   = regexp.MustCompile(`Bearer (\S+)`)
	greeting = regexp.MustCompile(`viva is ready: (http://[0-9.:]+)`)
)

// viva starts one of the programs. It logs no single requests: what one line for each costs is measured apart.
func viva(ctx context.Context, name, programs, data string, command, settings []string) (*Viva, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", name, err)
	}
	p, err := start(ctx, program{
		name: name, path: filepath.Join(programs, command[0]), args: command[1:], dir: data,
		env: append([]string{"VIVA_SERVER_ADDR=127.0.0.1:0", "VIVA_LOG_LEVEL=warn"}, settings...), ready: greets,
	})
	if err != nil {
		return nil, err
	}
	return &Viva{Process: p}, nil
}

// greets is ready once the program has said where it serves.
func greets(_ context.Context, p *Process) error {
	said, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	found := greeting.FindSubmatch(said)
	if found == nil {
		return errors.New("it has not said that it is ready")
	}
	address, err := url.Parse(string(found[1]))
	if err != nil {
		return err
	}
	p.Addr = address.Host
	return nil
}

// Client returns a client with all rights.
func (v *Viva) Client() (*client.Client, error) {
	return client.New("http://"+v.Addr, client.WithToken(v.Token))
}
