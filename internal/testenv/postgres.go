package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

var sharedPostgres = sync.OnceValues(findPostgres)

func findPostgres() (*process, error) {
	if url := os.Getenv("VIVA_TEST_POSTGRES_URL"); url != "" {
		return &process{url: url}, nil
	}
	server, err := startPostgres()
	if err != nil {
		return nil, fmt.Errorf("%w\n(VIVA_TEST_POSTGRES_URL may name a running server instead)", err)
	}
	return server, nil
}

// Where packages put the server's programs when not in PATH: Debian, Red Hat, Homebrew.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
}

// Nothing is synced to disk: these databases outlive a killed server, never a machine. A commit is still written
// before it is acknowledged, so a test that kills the server finds every commit again.
// The folder may be in memory, so the log stays small; and it is all that is removed, so shared memory is in its files.
var postgresSettings = []string{
	"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", "timezone=UTC",
	"fsync=off", "full_page_writes=off", "max_wal_size=128MB", "dynamic_shared_memory_type=mmap",
}

func startPostgres() (*process, error) {
	program, err := newest("postgres", 15, postgresFolders...)
	if err != nil {
		return nil, err
	}
	port, err := reservePort()
	if err != nil {
		return nil, err
	}
	p := &process{
		url:  "postgres://viva@" + port.addr() + "/postgres?sslmode=disable",
		port: port, quit: syscall.SIGINT, abandon: syscall.SIGQUIT,
	}
	if err := p.guard("postgres"); err != nil {
		return nil, errors.Join(err, port.release())
	}
	if err := p.initPostgres(program); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

func (p *process) initPostgres(program string) error {
	owner, err := unprivileged()
	if err != nil {
		return err
	}
	if owner != nil {
		if err := os.Chown(p.folder, int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("give the folder to PostgreSQL's user: %w", err)
		}
	}
	run := func(program string, args ...string) *exec.Cmd {
		command := exec.Command(program, args...)
		command.Dir = p.folder
		command.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
		return command
	}
	initdb := run(filepath.Join(filepath.Dir(program), "initdb"), "--pgdata", p.data(), "--username", "viva",
		"--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if said, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w; it said:\n%s", err, said)
	}
	args := []string{"-D", p.data(), "-p", strconv.Itoa(p.port.number)}
	for _, setting := range postgresSettings {
		args = append(args, "-c", setting)
	}
	p.command = func() *exec.Cmd { return run(program, args...) }
	p.ready, p.bury = p.postgresReady, p.freeSharedMemory
	return p.start()
}

func (p *process) data() string { return filepath.Join(p.folder, "data") }

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

// postgresReady also asks whose data is served, since on some systems another server could have taken the port.
func (p *process) postgresReady(ctx context.Context, _ int) error {
	return withPostgres(ctx, p.url, func(conn *pgx.Conn) error {
		var folder string
		if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&folder); err != nil {
			return fmt.Errorf("ask for its data folder: %w", err)
		}
		if folder != p.data() {
			return fmt.Errorf("another server answers on %s", p.url)
		}
		return nil
	})
}

// freeSharedMemory removes the System V segment that a killed PostgreSQL leaves; the kernel has room for few of them.
func (p *process) freeSharedMemory() {
	if id, err := p.sharedMemory(); err == nil {
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) // one that is gone already is as good
	}
}

// sharedMemory is the id of the server's System V segment: the second number on the seventh line of its lock file.
func (p *process) sharedMemory() (int, error) {
	lock, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the server's shared memory: %w", err)
	}
	lines := strings.Split(string(lock), "\n")
	if len(lines) < 7 {
		return 0, errors.New("the server's lock file names no shared memory")
	}
	var key, id int
	if _, err := fmt.Sscan(lines[6], &key, &id); err != nil {
		return 0, fmt.Errorf("read the server's lock file: %w", err)
	}
	return id, nil
}

func createDatabase(ctx context.Context, server *process) (url string, drop func() error, err error) {
	name := "test_" + strings.ToLower(rand.Text())
	if err := execPostgres(ctx, server.url, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	drop = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
		defer cancel()
		return execPostgres(ctx, server.url, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	return withDatabase(server.url, name), drop, nil
}

func execPostgres(ctx context.Context, url, statement string) error {
	return withPostgres(ctx, url, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		return nil
	})
}

func withPostgres(ctx context.Context, url string, use func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return errors.Join(use(conn), conn.Close(ctx))
}
