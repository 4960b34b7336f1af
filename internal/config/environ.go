package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

const (
	envPrefix  = "VIVA_"
	fileSuffix = "_FILE"
	configVar  = "VIVA_CONFIG"
)

// elsewhere are variables that are not settings: the file to read, and what the
// command line uses to reach a server.
var elsewhere = []string{configVar, "VIVA_SERVER", "VIVA_TOKEN_FILE"}

// Kubernetes describes every Service of a namespace in variables named after it.
// For one called viva, or viva-redis, these begin with our prefix.
var (
	serviceVar  = regexp.MustCompile(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)
	serviceLink = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

func fromKubernetes(name, value string) bool {
	return serviceVar.MatchString(name) || strings.HasSuffix(name, "_PORT") && serviceLink.MatchString(value)
}

// environment is what the variables say.
type environment struct {
	values     map[string]given // by path
	configFile string
}

type given struct {
	text   string
	source string // the variable's name
}

func readEnviron(environ []string, settings []setting, found *Error) environment {
	vars := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	env := environment{values: map[string]given{}, configFile: vars[configVar]}
	known := slices.Clone(elsewhere)
	for _, s := range settings {
		names := s.envNames()
		known = append(known, names...)
		present := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			_, ok := vars[name]
			return !ok
		})
		if len(present) == 0 {
			continue
		}
		if len(present) > 1 {
			found.add(s.path, strings.Join(present, ", "), "want only one of these variables")
			continue
		}
		source := present[0]
		text := vars[source]
		if s.readsFile(source) {
			content, err := os.ReadFile(text)
			if err != nil {
				found.add(s.path, source, "cannot read the file it names: "+reason(err))
				continue
			}
			text = strings.TrimRight(string(content), "\r\n")
		}
		env.values[s.path] = given{text: text, source: source}
	}

	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "VIVA_TEST_") && !fromKubernetes(name, vars[name]) {
			found.add("", name, "unknown variable"+didYouMean(name, known))
		}
	}
	return env
}

// envNames are the variables that can give a setting: the one its path makes, its
// promised shorter name if it has one, and for each the one that names a file.
func (s setting) envNames() []string {
	names := []string{s.env(), s.env() + fileSuffix}
	if short, ok := s.tag.Lookup("env"); ok {
		names = append(names, short, short+fileSuffix)
	}
	return names
}

func (s setting) readsFile(name string) bool {
	return name != s.env() && name != s.tag.Get("env")
}

// reason is why a file could not be read, without its name: somebody may have put
// the secret itself where the name of its file belongs.
func reason(err error) string {
	if pathError := (*fs.PathError)(nil); errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}
