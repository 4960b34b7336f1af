package config

// Role is the process a configuration is for.
type Role string

// The roles that ask something of the configuration. The zero Role asks nothing.
const (
	RoleServe  Role = "serve"  // API and worker in one process
	RoleAPI    Role = "api"    // one of any number of API processes
	RoleWorker Role = "worker" // one of any number of workers
)

// checkEngines refuses combinations of database and Redis that cannot keep the
// promises, and those the role cannot run on.
func (c *Config) checkEngines(role Role, found *Error) {
	const database, redis = "database.url", "redis.url"
	if found.concerns(database, redis) {
		return
	}
	if role == RoleAPI || role == RoleWorker {
		const alone = "; to run on one machine without it, use `viva serve`"
		if c.Database.URL == "" {
			found.add(database, envName(database), "required by "+string(role)+", whose processes share a PostgreSQL database"+alone)
		}
		if c.Redis.URL == "" {
			found.add(redis, envName(redis), "required by "+string(role)+", whose processes share limits and jobs through Redis"+alone)
		}
		return
	}
	if c.Redis.URL != "" && c.Database.URL == "" {
		found.add(redis, c.origins[redis], "Redis joins several processes, and a SQLite file serves only one; "+
			"set database.url ("+envName(database)+") to a PostgreSQL URL, or leave redis.url empty")
	}
}

// checkTogether checks settings that only make sense with one another.
func (c *Config) checkTogether(found *Error) {
	if (c.Server.TLS.CertFile == "") != (c.Server.TLS.KeyFile == "") {
		found.add("server.tls", "", "want both cert_file and key_file, or neither")
	}
	c.checkMail(found)
	if c.Queue.RedisURL != "" && c.Redis.URL == "" && !found.concerns("redis.url", "queue.redis_url") {
		found.add("queue.redis_url", c.origins["queue.redis_url"], "jobs of a process alone stand in its memory: set redis.url too, or leave it empty")
	}
	if found.concerns("keys.pepper", "keys.pepper_previous") || c.Keys.PepperPrevious == "" {
		return
	}
	if c.Keys.Pepper == "" || c.Keys.Pepper == c.Keys.PepperPrevious {
		found.add("keys.pepper_previous", c.origins["keys.pepper_previous"], "want the pepper before keys.pepper, which must be set and differ")
	}
}

// checkMail refuses a mail server without a sender, and a password that is of no
// use or that others could read.
func (c *Config) checkMail(found *Error) {
	const addr, username, password, from = "notify.smtp.addr", "notify.smtp.username", "notify.smtp.password", "notify.smtp.from"
	m := c.Notify.SMTP
	if found.concerns(addr, username, password, from, "notify.smtp.tls") {
		return
	}
	if m.Addr != "" && m.From == "" {
		found.add(from, envName(from), "want the address that emails are from, since notify.smtp.addr is set")
	}
	if (m.Username == "") != (m.Password == "") {
		found.add("notify.smtp", "", "want both username and password, or neither")
	}
	if m.Username != "" && m.TLS == "none" {
		found.add("notify.smtp.tls", c.origins["notify.smtp.tls"], "want starttls or implicit: a password is not sent where others can read it")
	}
}
