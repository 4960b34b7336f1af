package config

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// quoted is where the YAML parser repeats a piece of the file, perhaps of a secret.
var quoted = regexp.MustCompile("(anchor )'[^']*'|`[^`]*`")

// readFile reads a YAML file and reports its unknown keys. With no name there is
// nothing to read.
//
// Viper could read the file too, but it folds the case of keys, so that `Server`
// and `server` overwrite each other in random order, and it ignores a second document.
func readFile(name string, settings []setting, found *Error) map[string]any {
	if name == "" {
		return nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		found.add("", name, "cannot read it: "+reason(err))
		return nil
	}
	var tree map[string]any
	documents := yaml.NewDecoder(bytes.NewReader(content))
	err = documents.Decode(&tree)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil && !errors.Is(documents.Decode(new(yaml.Node)), io.EOF) {
		err = errors.New("more than one document")
	}
	if err != nil {
		found.add("", name, "want one YAML document of settings: "+quoted.ReplaceAllString(err.Error(), "${1}"+hidden))
		return nil
	}
	checkKeys(tree, "", name, knownPaths(settings), found)
	return tree
}

// knownPaths maps every setting and group to whether it is a group.
func knownPaths(settings []setting) map[string]bool {
	known := map[string]bool{}
	for _, s := range settings {
		known[s.path] = false
		for i, char := range s.path {
			if char == '.' {
				known[s.path[:i]] = true
			}
		}
	}
	return known
}

func checkKeys(tree map[string]any, prefix, file string, known map[string]bool, found *Error) {
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		path := prefix + key
		group, ok := known[path]
		if !ok || strings.Contains(key, ".") {
			found.add(path, file, "unknown setting"+didYouMean(path, slices.Sorted(maps.Keys(known))))
			continue
		}
		if !group || tree[key] == nil {
			continue
		}
		below, ok := tree[key].(map[string]any)
		if !ok {
			found.add(path, file, "want a group of settings")
			continue
		}
		checkKeys(below, path+".", file, known, found)
	}
}

// checkPaths reports values on the command line for settings that do not exist.
func checkPaths(flags map[string]string, settings []setting, found *Error) {
	known := make([]string, len(settings))
	for i, s := range settings {
		known[i] = s.path
	}
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		if !slices.Contains(known, path) {
			found.add(path, originFlag, "unknown setting"+didYouMean(path, known))
		}
	}
}
