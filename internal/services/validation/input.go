package validation

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"strconv"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/ratelimit"
)

// Bounds of a check, in characters and elements.
const (
	MaxCheckID    = 128
	MaxEndpoint   = 2048
	MaxIdentifier = 255
	MaxUserAgent  = 512
)

func (c *Check) validate() error {
	var v apierror.Validator
	validateCost(&v, c.Cost)
	models.ValidateText(&v, "check_id", c.CheckID, MaxCheckID)
	models.ValidateText(&v, "keyspace", c.Keyspace, models.MaxName)
	models.ValidateText(&v, "method", c.Method, 16)
	models.ValidateText(&v, "endpoint", c.Endpoint, MaxEndpoint)
	models.ValidateText(&v, "user_agent", c.UserAgent, MaxUserAgent)
	if len(c.Permissions) > 0 {
		words := v // goes to the heap, where v need not
		models.ValidateWords(&words, "permissions", c.Permissions, models.MaxPermissions, models.MaxPermission)
		v = words
	}
	return v.Err()
}

func (c *LimitCheck) validate() error {
	var v apierror.Validator
	validateCost(&v, c.Cost)
	models.ValidateText(&v, "check_id", c.CheckID, MaxCheckID)
	models.ValidateIdentifier(&v, "namespace", c.Namespace)
	v.Check(c.Identifier != "", "identifier", "must not be empty")
	models.ValidateText(&v, "identifier", c.Identifier, MaxIdentifier)
	v.Check(len(c.Rules) > 0, "rules", "must hold a rule")
	models.ValidateRules(&v, c.Rules, scopeIdentifier)
	for i := range c.Rules[:min(len(c.Rules), models.MaxRules)] {
		at := v.In("rules", i)
		at.Check(len(c.Rules[i].Methods) == 0, "methods", "must be absent: the check names no method")
		at.Check(len(c.Rules[i].Endpoints) == 0, "endpoints", "must be absent: the check names no endpoint")
	}
	return v.Err()
}

func validateCost(v *apierror.Validator, cost int64) {
	v.Checkf(cost >= 0 && cost <= ratelimit.MaxCost, "cost", "must be from 0 to %d", int64(ratelimit.MaxCost))
}

// group keeps stated limits apart from those of owners, whose groups are ids.
func (c *LimitCheck) group() string {
	return "limits:" + strconv.Itoa(len(c.Namespace)) + ":" + c.Namespace + ":" + c.Identifier
}

// fingerprint stands for what a check asks, so that its id cannot be used for
// another. It is the same on every node: FNV-1a over length-prefixed parts.
func (c *Check) fingerprint() uint64 {
	parts := append([]string{c.Keyspace, c.Method, c.Endpoint, c.IP.String()}, c.Permissions...)
	return fingerprint(c.Cost, parts)
}

func (c *LimitCheck) fingerprint() uint64 {
	parts := make([]string, 0, 8*len(c.Rules))
	for i := range c.Rules {
		r := &c.Rules[i]
		parts = append(parts, r.Name, strconv.FormatInt(r.Limit, 10), r.Window.String(), string(r.Period),
			r.Algorithm.String(), string(r.Overage), strconv.FormatBool(r.Shadow))
		if r.Algorithm == ratelimit.GCRA { // the others have no such part, and keep their numbers
			parts = append(parts, strconv.FormatInt(r.Burst, 10))
		}
	}
	return fingerprint(c.Cost, parts)
}

func fingerprint(cost int64, parts []string) uint64 {
	h := fnv.New64a()
	number := func(n int64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	number(cost)
	for _, part := range parts {
		number(int64(len(part)))
		// A hash never fails to write.
		_, _ = io.WriteString(h, part)
	}
	return h.Sum64()
}
