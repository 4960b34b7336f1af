package config

import (
	"cmp"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const (
	wantPostgres = "a URL such as postgres://user:password@host:5432/name"
	wantRedis    = "a URL such as redis://:password@host:6379/0, redis+sentinel://host,host/0?master=name or redis+cluster://host,host"
)

func badPostgres(why string) error { return errors.New(why + "; want " + wantPostgres) }

func badRedis(why string) error { return errors.New(why + "; want " + wantRedis) }

// checkPostgres checks what can be known of a database URL without connecting.
func checkPostgres(text string) error {
	u, err := parseURL(text)
	if err != nil {
		return badPostgres(err.Error())
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return badPostgres("not a PostgreSQL URL (for SQLite, leave it empty)")
	}
	// A socket folder is named in the query: postgres:///name?host=/run/postgresql
	if _, err := hostPorts(u.Host, "5432"); err != nil && (u.Host != "" || !u.Query().Has("host")) {
		return badPostgres(err.Error())
	}
	if name := strings.TrimPrefix(u.Path, "/"); name == "" || strings.Contains(name, "/") {
		return badPostgres("it names no database")
	}
	return nil
}

// RedisKind is how the servers behind a Redis URL work together.
type RedisKind string

// The kinds of RedisTarget.
const (
	RedisSingle   RedisKind = "single"
	RedisSentinel RedisKind = "sentinel"
	RedisCluster  RedisKind = "cluster"
)

// RedisTarget is what a Redis URL says, ready to make a client from.
type RedisTarget struct {
	Kind     RedisKind
	Addrs    []string // host:port of the server, the Sentinels or some Cluster nodes
	TLS      bool     // for every connection, to Sentinels too
	Username string
	Password Secret
	DB       int // 0 in a Cluster

	Master           string // the name Sentinels know the servers by
	SentinelUsername string
	SentinelPassword Secret
}

// ParseRedisURL reads a URL of one of these forms; with `rediss` for `redis` the
// connections use TLS, and special characters in passwords are percent-encoded:
//
//	redis://[[user]:password@]host[:6379][/db]
//	redis+sentinel://[[user]:password@]host[:26379],…[/db]?master=name[&sentinel_username=…&sentinel_password=…]
//	redis+cluster://[[user]:password@]host[:6379],…
//
// The errors do not contain the URL.
func ParseRedisURL(text string) (RedisTarget, error) {
	u, err := parseURL(text)
	if err != nil {
		return RedisTarget{}, badRedis(err.Error())
	}
	scheme, kind, named := strings.Cut(u.Scheme, "+")
	if !named {
		kind = string(RedisSingle)
	}
	t := RedisTarget{Kind: RedisKind(kind), TLS: scheme == "rediss", Username: u.User.Username()}
	if scheme != "redis" && scheme != "rediss" || named && t.Kind != RedisSentinel && t.Kind != RedisCluster {
		return RedisTarget{}, badRedis("unknown scheme")
	}
	password, _ := u.User.Password()
	t.Password = Secret(password)

	port := "6379"
	if t.Kind == RedisSentinel {
		port = "26379"
	}
	if t.Addrs, err = hostPorts(u.Host, port); err != nil {
		return RedisTarget{}, badRedis(err.Error())
	}
	if t.Kind == RedisSingle && len(t.Addrs) > 1 {
		return RedisTarget{}, badRedis("several hosts need redis+sentinel:// or redis+cluster://")
	}
	if err := t.readDB(u.Path); err != nil {
		return RedisTarget{}, badRedis(err.Error())
	}
	if err := t.readQuery(u.RawQuery); err != nil {
		return RedisTarget{}, badRedis(err.Error())
	}
	return t, nil
}

func (t *RedisTarget) readDB(path string) error {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	db, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return errors.New("the path is not a database number")
	}
	if t.Kind == RedisCluster && db != 0 {
		return errors.New("a Cluster has only database 0")
	}
	t.DB = int(db)
	return nil
}

func (t *RedisTarget) readQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("the query is malformed")
	}
	t.Master = query.Get("master")
	t.SentinelUsername = query.Get("sentinel_username")
	t.SentinelPassword = Secret(query.Get("sentinel_password"))
	if t.Kind == RedisSentinel {
		if t.Master == "" {
			return errors.New("a Sentinel needs ?master=name")
		}
		query.Del("master")
		query.Del("sentinel_username")
		query.Del("sentinel_password")
	}
	if len(query) > 0 {
		return errors.New("it has unknown query parameters")
	}
	return nil
}

// parseURL refuses what drivers and net/url understand differently: a bare @ or #
// in a password. The parser's own error is dropped because it quotes the URL.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || strings.Contains(text, "#") || strings.Count(text, "@") > 1 {
		return nil, errors.New("not a URL (special characters in a password are percent-encoded)")
	}
	return u, nil
}

// hostPorts splits a comma-separated list of hosts and adds the port where there is none.
func hostPorts(list, port string) ([]string, error) {
	var addrs []string
	for _, item := range strings.Split(list, ",") {
		one := url.URL{Host: item}
		if !isHost(one.Hostname()) || strings.HasSuffix(item, ":") || one.Port() != "" && !isPort(one.Port()) {
			return nil, errors.New("a host is missing or malformed")
		}
		addrs = append(addrs, net.JoinHostPort(one.Hostname(), cmp.Or(one.Port(), port)))
	}
	return addrs, nil
}
