package controllers

import (
	"time"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/keys"
	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
)

type newKeyBody struct {
	Name        string            `json:"name" minLength:"1" maxLength:"255" example:"Checkout" doc:"For people"`
	Keyspace    string            `json:"keyspace,omitzero" maxLength:"255" doc:"Id or name of the keyspace; default unless said otherwise"`
	Owner       string            `json:"owner,omitzero" maxLength:"255" doc:"Id or external id of the owner; without one, the key gets an owner of its own"`
	Plan        string            `json:"plan,omitzero" maxLength:"255" doc:"Id or name of the plan of the key's own owner; absent where owner is given"`
	Environment string            `json:"environment,omitzero" enum:"live,test" doc:"live unless said otherwise"`
	ExpiresAt   *time.Time        `json:"expires_at,omitempty" doc:"When the key stops working; never unless said"`
	AllowedIPs  []string          `json:"allowed_ips,omitempty" maxItems:"64" maxLength:"64" doc:"Addresses and networks (CIDR) that may use the key; none allows all"`
	Permissions []string          `json:"permissions,omitempty" maxItems:"64" maxLength:"128" doc:"Words that checks may ask for"`
	Methods     []string          `json:"methods,omitempty" maxItems:"16" maxLength:"16" doc:"HTTP methods the key may call; none allows all"`
	Endpoints   []string          `json:"endpoints,omitempty" maxItems:"32" maxLength:"256" doc:"Globs of the endpoints the key may call; none allows all"`
	Rules       []ruleBody        `json:"rules,omitempty" maxItems:"20" doc:"Limits of the key, beside those of its owner and plan"`
	Tags        []string          `json:"tags,omitempty" maxItems:"32" maxLength:"64" doc:"Words to find the key by"`
	Metadata    map[string]string `json:"metadata,omitempty" doc:"At most 50 members of at most 512 characters, for yourself"`
	Import      *importBody       `json:"import,omitempty" doc:"Brings a secret made elsewhere"`
}

type importBody struct {
	Hash string `json:"hash" pattern:"^[0-9a-fA-F]{64}$" patternDescription:"the SHA-256 of the secret, in 64 hexadecimal digits" doc:"SHA-256 of the secret"`
	Mask string `json:"mask,omitzero" maxLength:"64" doc:"How to show the secret, such as …a1b2"`
}

func (b *newKeyBody) newKey() (keys.NewKey, error) {
	rules, err := rulesOf(b.Rules)
	if err != nil {
		return keys.NewKey{}, err
	}
	n := keys.NewKey{
		Keyspace: b.Keyspace, Owner: b.Owner, Plan: b.Plan, Name: b.Name,
		Environment: apikey.Environment(b.Environment), ExpiresAt: utc(b.ExpiresAt),
		AllowedIPs: b.AllowedIPs, Permissions: b.Permissions, Methods: b.Methods, Endpoints: b.Endpoints,
		Rules: rules, Tags: b.Tags, Metadata: b.Metadata,
	}
	if b.Import != nil {
		hash, err := apikey.ParseHash(b.Import.Hash)
		if err != nil {
			return keys.NewKey{}, apierror.Invalid(apierror.Field{
				In: apierror.Body, Name: "import.hash", Detail: "must be 64 hexadecimal digits",
			})
		}
		n.Import = &keys.Import{Hash: hash, Mask: b.Import.Mask}
	}
	return n, nil
}

type keyPatchBody struct {
	Name        *string              `json:"name,omitempty" minLength:"1" maxLength:"255"`
	Owner       *string              `json:"owner,omitempty" minLength:"1" maxLength:"255" doc:"Moves the key to another owner, by id or external id"`
	Plan        *string              `json:"plan,omitempty" minLength:"1" maxLength:"255" doc:"Changes the plan of the key's own owner; others change by PATCH owners/{id}"`
	ExpiresAt   nullable[time.Time]  `json:"expires_at,omitzero" doc:"null never expires"`
	AllowedIPs  nullable[[]string]   `json:"allowed_ips,omitzero" maxItems:"64" maxLength:"64"`
	Permissions nullable[[]string]   `json:"permissions,omitzero" maxItems:"64" maxLength:"128"`
	Methods     nullable[[]string]   `json:"methods,omitzero" maxItems:"16" maxLength:"16"`
	Endpoints   nullable[[]string]   `json:"endpoints,omitzero" maxItems:"32" maxLength:"256"`
	Rules       nullable[[]ruleBody] `json:"rules,omitzero" maxItems:"20" doc:"Replaces all rules of the key"`
	Tags        nullable[[]string]   `json:"tags,omitzero" maxItems:"32" maxLength:"64"`
	Metadata    metadataPatch        `json:"metadata,omitzero" doc:"Members that are null are taken away, others are set"`
}

func (b *keyPatchBody) patch(metadata map[string]string) (keys.Patch, error) {
	p := keys.Patch{
		Name: b.Name, Owner: b.Owner, Plan: b.Plan, ExpiresAt: b.ExpiresAt.change(),
		AllowedIPs: b.AllowedIPs.cleared(), Permissions: b.Permissions.cleared(),
		Methods: b.Methods.cleared(), Endpoints: b.Endpoints.cleared(),
		Tags: b.Tags.cleared(), Metadata: b.Metadata.merge(metadata),
	}
	var err error
	p.Rules, err = rulesPatch(b.Rules)
	return p, err
}

func rulesPatch(n nullable[[]ruleBody]) (*[]models.Rule, error) {
	bodies := n.cleared()
	if bodies == nil {
		return nil, nil
	}
	rules, err := rulesOf(*bodies)
	return &rules, err
}

type KeyBody struct {
	ID             string            `json:"id" doc:"UUIDv7"`
	Name           string            `json:"name"`
	Keyspace       string            `json:"keyspace" doc:"Name of the keyspace"`
	Owner          string            `json:"owner" doc:"External id of the owner, or its id where it has none"`
	Plan           string            `json:"plan" doc:"Name of the owner's plan"`
	Environment    string            `json:"environment" enum:"live,test"`
	Status         string            `json:"status" enum:"active,suspended,expired,revoked"`
	Secrets        []secretBody      `json:"secrets" doc:"What opens the key, oldest first"`
	ExpiresAt      *time.Time        `json:"expires_at" doc:"null never expires"`
	RevokedAt      *time.Time        `json:"revoked_at"`
	SuspendedUntil *time.Time        `json:"suspended_until" doc:"null where the key is not suspended, or until it is activated"`
	SuspendReason  string            `json:"suspend_reason,omitzero"`
	AllowedIPs     []string          `json:"allowed_ips"`
	Permissions    []string          `json:"permissions"`
	Methods        []string          `json:"methods"`
	Endpoints      []string          `json:"endpoints"`
	Rules          []ruleBody        `json:"rules"`
	Tags           []string          `json:"tags"`
	Metadata       map[string]string `json:"metadata"`
	LastUsedAt     *time.Time        `json:"last_used_at" doc:"To about a minute; null where it never was"`
	Requests       int64             `json:"total_requests" doc:"Checks of this key in all, refused ones too; of at most three years"`
	Units          int64             `json:"total_units" doc:"Units it spent in all"`
	CreatedAt      time.Time         `json:"created_at"`
	UpdatedAt      time.Time         `json:"updated_at"`
}

type secretBody struct {
	ID        string     `json:"id"`
	Mask      string     `json:"mask" example:"viva_live_…wXyZ" doc:"Shows which secret it is, and opens nothing"`
	Imported  bool       `json:"imported,omitzero" doc:"Made elsewhere"`
	ExpiresAt *time.Time `json:"expires_at" doc:"When the grace of a rotation ends; null for the newest"`
	CreatedAt time.Time  `json:"created_at"`
}

func keyOf(v *keys.View, now time.Time) KeyBody {
	k := &v.Key
	body := KeyBody{
		ID: string(k.ID), Name: k.Name, Keyspace: v.Keyspace.Name, Owner: v.Owner.Ref(), Plan: v.Plan.Name,
		Environment: string(k.Environment), Status: string(k.Status(now)), Secrets: make([]secretBody, len(v.Secrets)),
		ExpiresAt: utc(k.ExpiresAt), RevokedAt: utc(k.RevokedAt), SuspendedUntil: utc(k.SuspendedUntil),
		SuspendReason: k.SuspendReason, AllowedIPs: k.AllowedIPs, Permissions: k.Permissions,
		Methods: k.Methods, Endpoints: k.Endpoints, Rules: ruleBodies(k.Rules), Tags: k.Tags, Metadata: k.Metadata,
		LastUsedAt: utc(v.Used.LastUsedAt), Requests: v.Used.Requests, Units: v.Used.Units,
		CreatedAt: k.CreatedAt.UTC(), UpdatedAt: k.UpdatedAt.UTC(),
	}
	for i, s := range v.Secrets {
		body.Secrets[i] = secretBody{
			ID: string(s.ID), Mask: s.Mask, Imported: s.Imported, ExpiresAt: utc(s.ExpiresAt), CreatedAt: s.CreatedAt.UTC(),
		}
	}
	return body
}

type createdKeyBody struct {
	KeyBody
	Secret string `json:"secret,omitzero" doc:"The secret, this once; absent for an imported one"`
}

func createdKeyOf(c *keys.Created, now time.Time) createdKeyBody {
	return createdKeyBody{KeyBody: keyOf(&c.View, now), Secret: c.Secret.Reveal()}
}
