package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Where packages put the programs when not in PATH: Debian, Red Hat.
var postgresFolders = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"}

// Postgres starts a server with its data in a folder below dir, synced to disk as it is by default. The URL is that of
// the database of that name.
func Postgres(ctx context.Context, dir string) (*Process, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "postgres")
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of PostgreSQL: %w", err)
	}
	if owner != nil {
		if err := errors.Join(os.Chmod(dir, 0o711), os.Chown(home, int(owner.Uid), int(owner.Gid))); err != nil {
			return nil, fmt.Errorf("give the folder to PostgreSQL's user: %w", err)
		}
	}
	data := filepath.Join(home, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(programs, "initdb"), "--pgdata", data, "--username", "viva", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = home, &syscall.SysProcAttr{Credential: owner}
	if said, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w; it said:\n%s", err, said)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return start(ctx, program{
		name: "postgres", path: filepath.Join(programs, "postgres"), dir: home, addr: addr, credential: owner,
		args: []string{"-D", data, "-p", port(addr), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "shared_buffers=256MB", "-c", "max_wal_size=1GB", "-c", "timezone=UTC"},
		ready: func(ctx context.Context, p *Process) error {
			return run(ctx, home, nil, filepath.Join(programs, "psql"), "-qAt", "-d", PostgresURL(p, "postgres"), "-c", "SELECT 1")
		},
	})
}

// PostgresURL is that of a database.
func PostgresURL(p *Process, database string) string {
	return "postgres://viva@" + p.Addr + "/" + database + "?sslmode=disable"
}

// CreateDatabase makes an empty one and returns its URL.
func CreateDatabase(ctx context.Context, p *Process, name string) (string, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return "", err
	}
	err = run(ctx, os.TempDir(), nil, filepath.Join(programs, "psql"), "-q", "-d", PostgresURL(p, "postgres"), "-c", "CREATE DATABASE "+name)
	return PostgresURL(p, name), err
}

// PostgresVersion is that of the program.
func PostgresVersion(ctx context.Context) (string, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return "", err
	}
	said, err := exec.CommandContext(ctx, filepath.Join(programs, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask for the version of PostgreSQL: %w", err)
	}
	_, version, _ := strings.Cut(string(said), ") ")
	version, _, _ = strings.Cut(version, " ")
	return strings.TrimSpace(version), nil
}

// postgresPrograms is the folder of postgres, initdb and psql.
func postgresPrograms() (string, error) {
	var folders []string
	for _, glob := range postgresFolders {
		found, err := filepath.Glob(glob)
		if err != nil {
			return "", fmt.Errorf("look for postgres: %w", err)
		}
		folders = append(folders, found...)
	}
	for _, folder := range append(folders, filepath.SplitList(os.Getenv("PATH"))...) {
		if path, err := exec.LookPath(filepath.Join(folder, "postgres")); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", errors.New("no postgres on this machine: run `make deps`")
}

// unprivileged is the account PostgreSQL runs under, since it refuses root; nil when this process is not root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find a user for PostgreSQL, which refuses root: %w", err)
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the id of user %s: %w", account.Username, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the group of user %s: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
