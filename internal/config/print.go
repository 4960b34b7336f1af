package config

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Print writes the configuration as YAML that Load would read again, each value
// with where it came from, and secrets as ***.
func (c *Config) Print(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	groups := map[string]*yaml.Node{"": root}
	for _, s := range settingsOf(c) {
		parent, key := openGroup(groups, s.path)
		value := s.node()
		value.LineComment = c.origins[s.path]
		parent.Content = append(parent.Content, textNode(key), value)
	}
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	if err := out.Encode(root); err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	return nil
}

// openGroup returns the node a path lies in, made if need be, and the path's last key.
func openGroup(groups map[string]*yaml.Node, path string) (*yaml.Node, string) {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return groups[""], path
	}
	above, key := path[:dot], path[dot+1:]
	if groups[above] == nil {
		parent, name := openGroup(groups, above)
		groups[above] = &yaml.Node{Kind: yaml.MappingNode}
		parent.Content = append(parent.Content, textNode(name), groups[above])
	}
	return groups[above], key
}

func (s setting) node() *yaml.Node {
	switch value := s.value.Interface().(type) {
	case []string:
		return listNode(value)
	case []netip.Prefix:
		texts := make([]string, len(value))
		for i, prefix := range value {
			texts[i] = prefix.String()
		}
		return listNode(texts)
	case time.Duration:
		return textNode(durationText(value))
	case bool, int, int64, float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(value)}
	default: // String masks what must not be shown
		return textNode(fmt.Sprint(value))
	}
}

func textNode(text string) *yaml.Node {
	node := &yaml.Node{}
	node.SetString(text)
	return node
}

func listNode(items []string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, item := range items {
		node.Content = append(node.Content, textNode(item))
	}
	return node
}

// durationText drops the zero parts that Duration.String writes: 2m, not 2m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
