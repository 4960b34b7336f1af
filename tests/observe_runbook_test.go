package tests

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/cli"
)

func TestEveryPageOfTheRunbookSaysWhatAnOperatorNeeds(t *testing.T) {
	titles := map[string]bool{}
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			titles[strings.ToLower(strings.TrimPrefix(b.Title, "Viva: ")+" / "+p.Title)] = true
		}
	}
	pages := pages(t)
	for page, text := range pages {
		require.Regexp(t, `^# \S`, text, page)
		if page != "README" {
			var sections []string
			for _, heading := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text, -1) {
				sections = append(sections, heading[1])
			}
			require.Equal(t, []string{"What it means", "Look", "Do", "Over when"}, sections, page)
			require.Contains(t, pages["README"], "]("+page+".md)")
		}
		for _, named := range regexp.MustCompile(`\*\*([^*]+ / [^*]+)\*\*`).FindAllStringSubmatch(text, -1) {
			if named[1] != "dashboard / panel" {
				require.True(t, titles[strings.ToLower(named[1])], "%s: there is no panel %s", page, named[1])
			}
		}
		for _, link := range regexp.MustCompile(`\]\(([^):#]+)[^)]*\)`).FindAllStringSubmatch(text, -1) {
			require.FileExists(t, strings.Join([]string{root, pagesFolder, link[1]}, "/"), page)
		}
	}
}

// Those in blocks of shell are run in a journey. Here it is seen that all there are, in the text as well, are commands
// with the flags they have.
func TestTheRunbookNamesCommandsThatExist(t *testing.T) {
	found := 0
	for page, text := range pages(t) {
		for _, line := range regexp.MustCompile("(?m)(?:^ *|`)(viva [a-z][^`\n]*)").FindAllStringSubmatch(text, -1) {
			command := strings.Fields(line[1])[1:]
			var names []string
			for _, word := range command {
				if !regexp.MustCompile(`^[a-z][a-z-]+$`).MatchString(word) {
					break
				}
				names = append(names, word)
			}
			help := helpOf(names)
			if help == "" && len(names) > 1 { // the last word is an argument, such as the name of a queue
				help = helpOf(names[:len(names)-1])
			}
			require.NotEmpty(t, help, "%s: %s", page, line[1])
			for _, word := range command {
				if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "--") {
					require.Regexp(t, `(?m)`+flag+`\b`, help, "%s: %s", page, line[1])
				}
			}
			found++
		}
	}
	require.Greater(t, found, 30)
}

// helpOf is what `viva NAMES --help` says; nothing where there is no such command.
func helpOf(names []string) string {
	var said, complaint bytes.Buffer
	if cli.Run(context.Background(), append(slices.Clone(names), "--help"), nil, &said, &complaint) != 0 {
		return ""
	}
	if !strings.Contains(said.String(), "viva "+strings.Join(names, " ")) {
		return ""
	}
	return said.String()
}
