// Package config gathers every setting of Viva into one validated struct.
//
// A setting is declared once, as a field with tags: its key, its default and
// what it accepts. From that declaration follow its path (`server.addr`), its
// environment variable (VIVA_SERVER_ADDR, or VIVA_SERVER_ADDR_FILE naming a file
// that holds the value), its checks, its line in the printed configuration and
// its row in docs/configuration.md.
//
// Later sources win: defaults, the file, the environment, the command line.
// Mistakes are never fixed silently: all of them are reported together, and no
// message repeats a value, which might be a secret.
//
// Floor F1: may import pkg/apikey; only internal/app and internal/cli import it.
package config

//go:generate go test -run ^TestReferenceIsCurrent$ -update .

import (
	"os"

	"github.com/spf13/viper"
)

// Options says where the configuration comes from.
type Options struct {
	// File is the path of a YAML file. Empty means the one VIVA_CONFIG names, or none.
	File string
	// Environ is the environment as `NAME=value`; nil means os.Environ.
	Environ []string
	// Flags are values given on the command line, by path. They win over all else.
	Flags map[string]string
	// Role is the process to be configured. It decides which engines are required.
	Role Role
}

// Load reads and checks the whole configuration. Every mistake found is in the
// error, which is always an [*Error]; the configuration is then nil.
func Load(o Options) (*Config, error) {
	environ := o.Environ
	if environ == nil {
		environ = os.Environ()
	}
	c := &Config{origins: map[string]string{}}
	settings := settingsOf(c)
	var found Error

	env := readEnviron(environ, settings, &found)
	file := o.File
	if file == "" {
		file = env.configFile
	}
	tree := readFile(file, settings, &found)
	checkPaths(o.Flags, settings, &found)

	merged := viper.New()
	for _, s := range settings {
		merged.SetDefault(s.path, s.standard())
	}
	if err := merged.MergeConfigMap(tree); err != nil {
		found.add("", file, "cannot be merged: "+err.Error())
	}
	for _, s := range settings {
		origin := originDefault
		if merged.InConfig(s.path) {
			origin = file
		}
		if given, ok := env.values[s.path]; ok {
			merged.Set(s.path, given.text)
			origin = given.source
		}
		if text, ok := o.Flags[s.path]; ok {
			merged.Set(s.path, text)
			origin = originFlag
		}
		c.origins[s.path] = origin
		if err := s.set(merged.Get(s.path)); err != nil {
			found.add(s.path, origin, err.Error())
		}
	}

	c.checkTogether(&found)
	c.checkEngines(o.Role, &found)
	if len(found.Problems) > 0 {
		return nil, &found
	}
	return c, nil
}

// Where a value came from, when neither a file nor a variable can be named.
const (
	originDefault = "default"
	originFlag    = "command line"
)

// JSONLogs reports whether log lines are JSON: always or never by `log.format`,
// and in production where that is `auto`.
func (c *Config) JSONLogs() bool {
	return c.Log.Format == "json" || c.Log.Format == "auto" && c.Environment == "prod"
}
