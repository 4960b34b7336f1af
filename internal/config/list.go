package config

import (
	"net/netip"
	"reflect"
	"strings"
)

// setList takes a YAML sequence, or text with commas.
func (s setting) setList(raw any) error {
	items, err := s.items(raw)
	if err != nil {
		return err
	}
	if _, ok := s.value.Interface().([]string); ok {
		for _, item := range items {
			if s.format().check(item) != nil {
				return s.mismatch()
			}
		}
		s.value.Set(reflect.ValueOf(items))
		return nil
	}
	prefixes := make([]netip.Prefix, len(items))
	for i, item := range items {
		if prefixes[i], err = parsePrefix(item); err != nil {
			return s.mismatch()
		}
	}
	s.value.Set(reflect.ValueOf(prefixes))
	return nil
}

func (s setting) items(raw any) ([]string, error) {
	switch given := raw.(type) {
	case string:
		if strings.TrimSpace(given) == "" {
			return []string{}, nil
		}
		items := strings.Split(given, ",")
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
		return items, nil
	case []any:
		items := make([]string, len(given))
		for i, item := range given {
			text, ok := item.(string)
			if !ok {
				return nil, s.mismatch()
			}
			items[i] = text
		}
		return items, nil
	default:
		return nil, s.mismatch()
	}
}

// parsePrefix reads a network, or an address as the network of that one address.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}
