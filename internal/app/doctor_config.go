package app

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/viva/rate-limiter/internal/config"
	"github.com/viva/rate-limiter/internal/repositories"
)

// configuration warns of settings that are valid and that somebody will be
// sorry for.
func (d *Doctor) configuration(_ context.Context, r *report) error {
	cfg := d.cfg
	prod, public := cfg.Environment == "prod", !local(hostOf(cfg.Server.Addr))
	r.say("valid; environment %s, %s, %s", cfg.Environment, d.whereData(), d.whereLimits())
	for _, w := range []struct {
		odd            bool
		found, instead string
	}{
		{
			public && cfg.Server.TLS.CertFile == "" && len(cfg.Server.TrustedProxies) == 0,
			"server.addr " + cfg.Server.Addr + " is in reach of other machines without TLS: tokens and keys can be read on the way",
			"set server.tls.cert_file and server.tls.key_file; or name the proxy that has TLS in server.trusted_proxies",
		},
		{
			public && prod && cfg.Server.Docs.Enabled,
			"the documentation is served to everybody who reaches " + cfg.Server.Addr,
			"set server.docs.enabled to false",
		},
		{
			slices.ContainsFunc(cfg.Server.TrustedProxies, everything),
			"server.trusted_proxies holds every address: callers choose the address they seem to have",
			"name the networks of the proxies in server.trusted_proxies",
		},
		{
			prod && cfg.Keys.Pepper == "",
			"keys.pepper is not set: who has a copy of the database can tell whether a key is in it",
			"put 32 random bytes into a file that VIVA_KEYS_PEPPER_FILE names: openssl rand -hex 32",
		},
		{
			cfg.RateLimit.OnStoreFailure == "allow",
			"ratelimit.on_store_failure is allow: while limits cannot be counted, nothing is limited",
			"set ratelimit.on_store_failure to local",
		},
		{
			!cfg.Journal.Enabled,
			"journal.enabled is false: no usage is counted, and quotas do not outlast a restart",
			"set journal.enabled to true",
		},
		{
			cfg.Notify.AllowHTTP,
			"notify.allow_http is true: what webhooks are told can be read on the way",
			"set notify.allow_http to false, and give destinations https:// URLs",
		},
		{
			slices.ContainsFunc(cfg.Notify.AllowNetworks, everything),
			"notify.allow_networks holds every address: a webhook can be pointed at servers that only this machine should reach",
			"name single networks in notify.allow_networks",
		},
		{
			cfg.Notify.SMTP.Addr != "" && cfg.Notify.SMTP.TLS == "none" && !local(hostOf(cfg.Notify.SMTP.Addr)),
			"notify.smtp.tls is none: emails can be read on the way",
			"set notify.smtp.tls to starttls or implicit",
		},
	} {
		if w.odd {
			r.warn(w.instead, "%s", w.found)
		}
	}
	return d.passwords(r)
}

// commonPasswords are tried first by whoever should not be in.
var commonPasswords = []string{"", "postgres", "viva", "admin", "root", "secret", "password", "changeme", "redis"}

// passwords warns of servers that other machines can reach as this one does.
func (d *Doctor) passwords(r *report) error {
	if d.cfg.Database.URL != "" {
		reach, err := repositories.ReachOf(string(d.cfg.Database.URL))
		if err != nil {
			return err
		}
		remote := slices.ContainsFunc(reach.Hosts, func(host string) bool { return !local(host) })
		guessed := reach.Password != "" && (slices.Contains(commonPasswords, reach.Password) || reach.Password == reach.User)
		if remote && guessed {
			r.warn("ALTER ROLE "+reach.User+" PASSWORD '…', and put the URL into a file that VIVA_DATABASE_URL_FILE names",
				"the password in database.url is easily guessed")
		}
		if remote && reach.Plain && d.cfg.Environment == "prod" {
			r.warn("take sslmode=disable out of database.url; sslmode=verify-full is best",
				"database.url says sslmode=disable: what the database is told can be read on the way")
		}
	}
	for _, server := range []struct {
		setting string
		url     config.URL
	}{{"redis.url", d.cfg.Redis.URL}, {"queue.redis_url", d.cfg.Queue.RedisURL}} {
		if server.url == "" {
			continue
		}
		target, err := config.ParseRedisURL(string(server.url))
		if err != nil {
			return err
		}
		remote := slices.ContainsFunc(target.Addrs, func(addr string) bool { return !local(hostOf(addr)) })
		if remote && slices.Contains(commonPasswords, string(target.Password)) && d.cfg.Environment == "prod" {
			r.warn("set requirepass in redis.conf, and the password in "+server.setting,
				"%s has no password, or one that is easily guessed: who reaches Redis can take limits away", server.setting)
		}
	}
	return nil
}

func (d *Doctor) whereData() string {
	if d.cfg.Database.URL == "" {
		return "data in " + databaseFile(d.cfg)
	}
	return "data at " + d.cfg.Database.URL.String()
}

func (d *Doctor) whereLimits() string {
	if d.cfg.Redis.URL == "" {
		return "limits in the memory of the process"
	}
	return "limits at " + d.cfg.Redis.URL.String()
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// local tells whether a name is one that leads to this machine and no other.
func local(host string) bool {
	if host == "localhost" || strings.HasPrefix(host, "/") { // a folder of sockets
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func everything(p netip.Prefix) bool { return p.Bits() == 0 }
