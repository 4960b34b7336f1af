package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

var sharedRedis = sync.OnceValues(findRedis)

func findRedis() (*process, error) {
	if url := os.Getenv("VIVA_TEST_REDIS_URL"); url != "" {
		return &process{url: url}, nil
	}
	server, err := startRedis("--databases", "1024")
	if err != nil {
		return nil, fmt.Errorf("%w\n(VIVA_TEST_REDIS_URL may name a running server instead)", err)
	}
	return server, nil
}

// startRedis starts a server of the machine's newest program. The flags are set over the usual ones.
func startRedis(flags ...string) (*process, error) {
	program, err := newest("redis-server", 7)
	if err != nil {
		return nil, err
	}
	return startRedisOf(program, flags...)
}

func startRedisOf(program string, flags ...string) (*process, error) {
	p, err := prepareRedis()
	if err != nil {
		return nil, err
	}
	return p.launchRedis(program, flags...)
}

// prepareRedis makes the port and the folder of a server that does not run yet.
func prepareRedis() (*process, error) {
	port, err := reservePort()
	if err != nil {
		return nil, err
	}
	p := &process{url: "redis://" + port.addr() + "/0", port: port, quit: syscall.SIGTERM, abandon: syscall.SIGKILL}
	if err := p.guard("redis"); err != nil {
		return nil, errors.Join(err, port.release())
	}
	p.ready = p.redisReady
	return p, nil
}

func (p *process) launchRedis(program string, flags ...string) (*process, error) {
	usual := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(p.port.number), "--dir", p.folder,
		"--save", "", "--maxmemory-policy", "noeviction"}
	flags = append(usual, flags...)
	return p.launch(func() *exec.Cmd { return exec.Command(program, flags...) })
}

// launch starts a prepared server for the first time, or takes away what was prepared.
func (p *process) launch(command func() *exec.Cmd) (*process, error) {
	p.command = command
	if err := p.start(); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

var redisProcess = regexp.MustCompile(`process_id:(\d+)`)

// redisReady also asks which process answers, since on some systems another could have taken the port.
func (p *process) redisReady(ctx context.Context, pid int) error {
	var dialer net.Dialer // first, because the client repeats a failed dial, and logs it
	conn, err := dialer.DialContext(ctx, "tcp", p.port.addr())
	if err != nil {
		return err
	}
	if err := conn.Close(); err != nil {
		return err
	}
	client, err := redisClient(p.url)
	if err != nil {
		return err
	}
	defer client.Close()
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("ask for its process: %w", err)
	}
	if id := redisProcess.FindStringSubmatch(info); id == nil || id[1] != strconv.Itoa(pid) {
		return fmt.Errorf("another server answers on %s", p.url)
	}
	return nil
}

// leaseTime is longer than any test runs. It frees the databases of killed test processes on a server that outlives
// them.
const leaseTime = 30 * time.Minute

// leaseDatabase takes the least recently used free database. Database 0 keeps the leases, so that many test processes
// can share one server.
func leaseDatabase(ctx context.Context, server *process) (url string, release func() error, err error) {
	admin, err := redisClient(server.url)
	if err != nil {
		return "", nil, err
	}
	defer admin.Close()
	config, err := admin.ConfigGet(ctx, "databases").Result()
	if err != nil {
		return "", nil, fmt.Errorf("count the databases of %s: %w", server.url, err)
	}
	databases, err := strconv.Atoi(config["databases"])
	if err != nil || databases < 2 {
		return "", nil, fmt.Errorf("%s has %q databases; tests need at least 2, better 1024", server.url, config["databases"])
	}
	for range databases {
		turn, err := admin.Incr(ctx, "testenv:turn").Result()
		if err != nil {
			return "", nil, fmt.Errorf("lease a database: %w", err)
		}
		number := 1 + int(turn)%(databases-1)
		free, err := admin.SetNX(ctx, leaseKey(number), os.Getpid(), leaseTime).Result()
		if err != nil {
			return "", nil, fmt.Errorf("lease a database: %w", err)
		}
		if !free {
			continue
		}
		if err := flushDatabase(ctx, server.url, number); err != nil {
			return "", nil, err
		}
		return databaseURL(server.url, number), func() error { return releaseDatabase(server.url, number) }, nil
	}
	return "", nil, fmt.Errorf("all %d databases of %s are in use", databases-1, server.url)
}

func releaseDatabase(server string, number int) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	if err := flushDatabase(ctx, server, number); err != nil {
		return err
	}
	admin, err := redisClient(server)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.Del(ctx, leaseKey(number)).Err(); err != nil {
		return fmt.Errorf("end the lease of database %d: %w", number, err)
	}
	return nil
}

func flushDatabase(ctx context.Context, server string, number int) error {
	client, err := redisClient(databaseURL(server, number))
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.FlushDB(ctx).Err(); err != nil {
		return fmt.Errorf("flush database %d: %w", number, err)
	}
	return nil
}

func leaseKey(number int) string { return fmt.Sprintf("testenv:lease:%d", number) }

func databaseURL(server string, number int) string { return withDatabase(server, strconv.Itoa(number)) }

func redisClient(url string) (*redis.Client, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("read the Redis URL: %w", err)
	}
	return redis.NewClient(options), nil
}
