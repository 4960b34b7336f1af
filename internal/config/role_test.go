package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEngines(t *testing.T) {
	const (
		postgres = "VIVA_DATABASE_URL=postgres://h/d"
		redis    = "VIVA_REDIS_URL=redis://h"
		sqlite   = "Redis joins several processes, and a SQLite file serves only one; " +
			"set database.url (VIVA_DATABASE_URL) to a PostgreSQL URL, or leave redis.url empty"
	)
	for name, row := range map[string]struct {
		role    Role
		environ []string
		refused []string // the paths complained of
	}{
		"serve on nothing":             {RoleServe, nil, nil},
		"serve on Postgres":            {RoleServe, []string{postgres}, nil},
		"serve on Postgres and Redis":  {RoleServe, []string{postgres, redis}, nil},
		"serve on SQLite and Redis":    {RoleServe, []string{redis}, []string{"redis.url"}},
		"command on SQLite and Redis":  {"", []string{redis}, []string{"redis.url"}},
		"command on Postgres":          {"", []string{postgres}, nil},
		"api on nothing":               {RoleAPI, nil, []string{"database.url", "redis.url"}},
		"api on Postgres":              {RoleAPI, []string{postgres}, []string{"redis.url"}},
		"api on Redis":                 {RoleAPI, []string{redis}, []string{"database.url"}},
		"api on Postgres and Redis":    {RoleAPI, []string{postgres, redis}, nil},
		"worker on nothing":            {RoleWorker, nil, []string{"database.url", "redis.url"}},
		"worker on Postgres and Redis": {RoleWorker, []string{postgres, redis}, nil},
		"a queue of its own":           {RoleWorker, []string{postgres, redis, "VIVA_QUEUE_REDIS_URL=redis://q"}, nil},
		"a queue's Redis alone":        {RoleServe, []string{postgres, "VIVA_QUEUE_REDIS_URL=redis://q"}, []string{"queue.redis_url"}},
		"a bad URL is said only once":  {RoleAPI, []string{"VIVA_DATABASE_URL=x", redis}, []string{"database.url"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Options{Environ: append([]string{}, row.environ...), Role: row.role})
			if row.refused == nil {
				require.NoError(t, err)
				return
			}
			var mistakes *Error
			require.ErrorAs(t, err, &mistakes)
			var paths []string
			for _, p := range mistakes.Problems {
				paths = append(paths, p.Path)
			}
			require.Equal(t, row.refused, paths)
		})
	}

	require.Equal(t, []Problem{{Path: "redis.url", Source: "VIVA_REDIS_URL", Message: sqlite}}, problems(t, "", redis))
	_, err := Load(Options{Environ: []string{postgres}, Role: RoleAPI})
	require.EqualError(t, err, "redis.url (VIVA_REDIS_URL): required by api, whose processes share limits and jobs through Redis; "+
		"to run on one machine without it, use `viva serve`")
}

func TestMailServer(t *testing.T) {
	const (
		addr, from = "VIVA_NOTIFY_SMTP_ADDR=mail.example:587", "VIVA_NOTIFY_SMTP_FROM=Viva <viva@mail.example>"
		user, pass = "VIVA_NOTIFY_SMTP_USERNAME=u", "VIVA_NOTIFY_SMTP_PASSWORD=hunter2"
		none       = "VIVA_NOTIFY_SMTP_TLS=none"
	)
	for name, row := range map[string]struct {
		environ []string
		want    []Problem
	}{
		"none at all":        {nil, nil},
		"without a login":    {[]string{addr, from}, nil},
		"with a login":       {[]string{addr, from, user, pass}, nil},
		"in the clear":       {[]string{addr, from, none}, nil},
		"without a sender":   {[]string{addr}, []Problem{{"notify.smtp.from", "VIVA_NOTIFY_SMTP_FROM", "want the address that emails are from, since notify.smtp.addr is set"}}},
		"a name alone":       {[]string{addr, from, user}, []Problem{{"notify.smtp", "", "want both username and password, or neither"}}},
		"a password alone":   {[]string{addr, from, pass}, []Problem{{"notify.smtp", "", "want both username and password, or neither"}}},
		"a login for all":    {[]string{addr, from, user, pass, none}, []Problem{{"notify.smtp.tls", "VIVA_NOTIFY_SMTP_TLS", "want starttls or implicit: a password is not sent where others can read it"}}},
		"mistakes said once": {[]string{"VIVA_NOTIFY_SMTP_ADDR=mail.example"}, []Problem{{"notify.smtp.addr", "VIVA_NOTIFY_SMTP_ADDR", "want host:port, such as smtp.example.com:587"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if row.want == nil {
				_, err := Load(Options{Environ: append([]string{}, row.environ...)})
				require.NoError(t, err)
				return
			}
			require.Equal(t, row.want, problems(t, "", row.environ...))
		})
	}
}
