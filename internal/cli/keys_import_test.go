package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/apikey"
	"github.com/viva/rate-limiter/pkg/client"
)

// vault imports as the service does: a batch as a whole or not at all, a hash
// once, and a call that is repeated not again.
type vault struct {
	keys   map[string]client.NewKey // by hash
	done   map[string]bool          // Idempotency-Keys
	refuse func(client.NewKey) *apierror.Field
}

func startVault(t *testing.T) (*vault, *service) {
	t.Helper()
	v := &vault{keys: map[string]client.NewKey{}, done: map[string]bool{}, refuse: func(client.NewKey) *apierror.Field { return nil }}
	return v, start(t, map[string]reply{"POST /api/v1/keys/bulk": v.create})
}

func (v *vault) create(w http.ResponseWriter, r *http.Request) {
	var body struct{ Keys []client.NewKey }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		panic(err)
	}
	if v.done[r.Header.Get("Idempotency-Key")] {
		w.Header().Set("Idempotency-Replayed", "true")
		ok(`{"data":[]}`)(w, r)
		return
	}
	var bad apierror.Validator
	for i, key := range body.Keys {
		at := bad.In("keys", i)
		_, known := v.keys[key.Import.Hash]
		at.Check(!known, "import.hash", "must be of no key that exists")
		if f := v.refuse(key); f != nil {
			at.Check(false, f.Name, f.Detail)
		}
	}
	if e, failed := apierror.As(bad.Err()); failed {
		problem(e)(w, r)
		return
	}
	for _, key := range body.Keys {
		v.keys[key.Import.Hash] = key
	}
	v.done[r.Header.Get("Idempotency-Key")] = true
	status(201, `{"data":[]}`)(w, r)
}

func foreign(i int) string     { return fmt.Sprintf("foreign-secret-%06d", i) }
func foreignHash(i int) string { return apikey.Sum(foreign(i)).String() }
func hashes(n int) string {
	var b strings.Builder
	b.WriteString("hash,name\n")
	for i := range n {
		fmt.Fprintf(&b, "%s,key %d\n", foreignHash(i), i)
	}
	return b.String()
}

func TestImportReadsCSVAndJSONLines(t *testing.T) {
	want := func(name string) string {
		return `{"name":"` + name + `","keyspace":"payments","owner":"cust_42","environment":"test","expires_at":"2027-03-01T12:00:00Z",
			"permissions":["read","write"],"tags":["eu","vip"],"metadata":{"region":"eu, west"},
			"import":{"hash":"` + foreignHash(1) + `","mask":"…0001"}}`
	}
	for name, text := range map[string]string{
		"CSV": "\ufeffname,hash,mask,keyspace,owner,environment,expires_at,permissions,tags,metadata.region,plan\r\n" +
			`"a ""1""",` + strings.ToUpper(foreignHash(1)) + `,…0001,payments,cust_42,test,2027-03-01T12:00:00Z,read write,eu  vip,"eu, west",` + "\r\n",
		"JSON": "\n  \n" + `{"name":"a \"1\"","hash":"` + foreignHash(1) + `","mask":"…0001","keyspace":"payments","owner":"cust_42","environment":"test",` +
			`"expires_at":"2027-03-01T12:00:00Z","permissions":["read","write"],"tags":["eu","vip"],"metadata":{"region":"eu, west"}}` + "\n\n",
		"JSON of the API": want(`a \"1\"`),
	} {
		t.Run(name, func(t *testing.T) {
			v, _ := startVault(t)
			got := run(t, strings.ReplaceAll(text, "\n\t\t\t", ""), "keys", "import", "--from", "-")
			require.Equal(t, result{0, "1 keys imported\n", ""}, got)
			data, err := json.Marshal(v.keys[foreignHash(1)])
			require.NoError(t, err)
			require.JSONEq(t, want(`a \"1\"`), string(data))
		})
	}
}

func TestFlagsFillWhatRowsLeaveOut(t *testing.T) {
	v, _ := startVault(t)
	text := "hash,name,owner,plan,keyspace\n" +
		foreignHash(0) + ",a,,,\n" + foreignHash(1) + ",b,other,,\n" + foreignHash(2) + ",c,,gold,payments\n"
	require.Zero(t, run(t, "", "keys", "import", "--from", write(t, text), "--owner", "o", "--keyspace", "k").code)
	require.Equal(t, "o", v.keys[foreignHash(0)].Owner)
	require.Equal(t, "k", v.keys[foreignHash(0)].Keyspace)
	require.Equal(t, "other", v.keys[foreignHash(1)].Owner)
	require.Equal(t, "payments", v.keys[foreignHash(2)].Keyspace)

	v, _ = startVault(t)
	require.Zero(t, run(t, "", "keys", "import", "--from", write(t, text), "--plan", "free").code)
	require.Equal(t, "free", v.keys[foreignHash(0)].Plan)
	require.Empty(t, v.keys[foreignHash(1)].Plan, "its owner has a plan")
	require.Equal(t, "gold", v.keys[foreignHash(2)].Plan)
}

func TestPlainSecretsAreHashedAndNeverSent(t *testing.T) {
	v, s := startVault(t)
	text := `{"name":"a","secret":"` + foreign(1) + `"}` + "\n" + `{"name":"b","secret":"` + secretOf(t) + `","mask":"mine"}`
	got := run(t, text, "keys", "import", "--from", "-", "--plain")
	require.Equal(t, result{0, "2 keys imported\n", ""}, got)
	require.Equal(t, &client.Import{Hash: foreignHash(1), Mask: "…0001"}, v.keys[foreignHash(1)].Import)
	require.NotContains(t, s.requests[0].body, foreign(1))
	require.NotContains(t, s.requests[0].body, "viva_live_")
	require.Contains(t, s.requests[0].body, `"mask":"mine"`)

	got = run(t, "secret,name\n"+foreign(1)+",a\n"+foreign(2)+",b\n", "keys", "import", "--from", "-", "--plain", "-o", "json")
	require.JSONEq(t, `{"imported":1,"repeated":0,"existing":1}`, got.stdout)
}

func secretOf(t *testing.T) string {
	t.Helper()
	secret, err := apikey.Generate("viva", apikey.Live)
	require.NoError(t, err)
	return secret.Reveal()
}

func TestImportGoesInBatchesOfAThousand(t *testing.T) {
	v, s := startVault(t)
	got := run(t, hashes(2001), "keys", "import", "--from", "-")
	require.Equal(t, result{0, "2001 keys imported\n", ""}, got)
	require.Len(t, v.keys, 2001)
	require.Len(t, s.requests, 3)
	require.Equal(t, 2, run(t, hashes(1), "keys", "import", "--from", "-", "--parallel", "17").code)
}

func TestImportCanBeRepeated(t *testing.T) {
	v, s := startVault(t)
	require.Zero(t, run(t, hashes(1500), "keys", "import", "--from", "-", "--parallel", "1").code)
	first := s.requests
	s.requests = nil

	got := run(t, hashes(1500), "keys", "import", "--from", "-", "--parallel", "1")
	require.Equal(t, "0 keys imported, 1500 by the same command before\n", got.stdout)
	for i, r := range s.requests {
		require.Equal(t, first[i].key, r.key)
		require.Regexp(t, "^import-[0-9a-f]{64}$", r.key)
	}
	require.NotEqual(t, s.requests[0].key, s.requests[1].key)

	// The file has grown: its batches are others, and most of their keys known.
	got = run(t, hashes(1600), "keys", "import", "--from", "-")
	require.Equal(t, "100 keys imported, 1500 there already\n", got.stdout)
	require.Len(t, v.keys, 1600)
}

func TestImportThatStopsSaysWhereAndGoesOnFromThere(t *testing.T) {
	v, _ := startVault(t)
	byHash := make([]int, 1500)
	for i := range byHash {
		byHash[i] = i
	}
	slices.SortFunc(byHash, func(a, b int) int { return strings.Compare(foreignHash(a), foreignHash(b)) })
	bad, known := byHash[1400], byHash[1200] // of the second batch
	v.refuse = func(key client.NewKey) *apierror.Field {
		if key.Name == fmt.Sprintf("key %d", bad) {
			return &apierror.Field{Name: "name", Detail: "must be another"}
		}
		return nil
	}
	v.keys[foreignHash(known)] = client.NewKey{}
	got := run(t, hashes(1500), "keys", "import", "--from", "-")
	require.Equal(t, 1, got.code)
	require.Equal(t, "viva: Some fields are not valid; errors names each of them (validation_failed, request r1)\n"+
		fmt.Sprintf("  line %d: name: must be another\n", bad+2)+
		"until then: 1000 keys imported; the same command given again goes on from there\n", got.stderr)
	require.Len(t, v.keys, 1001)

	v.refuse = func(client.NewKey) *apierror.Field { return nil }
	got = run(t, hashes(1500), "keys", "import", "--from", "-")
	require.Equal(t, "499 keys imported, 1000 by the same command before, 1 there already\n", got.stdout)
}

func TestAnotherImportGetsInTheWay(t *testing.T) {
	v, s := startVault(t)
	met := 0
	s.answers["POST /api/v1/keys/bulk"] = func(w http.ResponseWriter, r *http.Request) {
		if met++; met == 1 { // it stores a key between the look for it and the insert
			v.keys[foreignHash(1)] = client.NewKey{}
			problem(apierror.New(apierror.CodeAlreadyExists, "Another secret has it already"))(w, r)
			return
		}
		v.create(w, r)
	}
	got := run(t, hashes(3), "keys", "import", "--from", "-")
	require.Equal(t, result{0, "2 keys imported, 1 there already\n", ""}, got)

	s.answers["POST /api/v1/keys/bulk"] = problem(apierror.New(apierror.CodeAlreadyExists, "Another secret has it already"))
	s.requests = nil
	require.Equal(t, 1, run(t, hashes(3), "keys", "import", "--from", "-").code)
	require.Len(t, s.requests, 4, "not for ever")
}

func TestImportReportsWhatIsNoMatterOfRows(t *testing.T) {
	_, s := startVault(t)
	s.answers["POST /api/v1/keys/bulk"] = problem(apierror.New(apierror.CodeForbidden, "The token lacks keys:write"))
	got := run(t, hashes(1), "keys", "import", "--from", "-")
	require.Equal(t, 1, got.code)
	require.Contains(t, got.stderr, "The token lacks keys:write (forbidden, request r1)\nuntil then: 0 keys imported")
}

func TestBadRowsAreNamedByLineAndNotRepeated(t *testing.T) {
	_, s := startVault(t)
	token := apikey.GenerateToken().Reveal()
	hash := foreignHash(1)
	for name, test := range map[string]struct {
		text, want string
		args       []string
	}{
		"nothing":             {text: "", want: "there is nothing to import"},
		"an unknown column":   {text: "hash,hunter2", want: "line 1: column 2 must be named one of: environment, expires_at, hash, "},
		"a column twice":      {text: "hash,hash", want: "line 1: column 2 has the name of another"},
		"no header":           {text: hash + ",a\n", want: "line 1: column 1 must be named one of"},
		"a cell too many":     {text: "hash,name\n" + hash + ",a,hunter2\n", want: "line 2: wrong number of fields"},
		"a quote in a cell":   {text: "hash,name\n" + hash + ",hunter\"2\n", want: "line 2: bare \" in non-quoted-field"},
		"no hash":             {text: "hash,name\nhunter2,a\n", want: "line 2: its hash must be the SHA-256"},
		"no time":             {text: "hash,expires_at\n\n" + hash + ",hunter2\n", want: "line 3: expires_at: must be a time such as"},
		"the hash twice":      {text: "hash,name\n" + hash + ",a\n" + foreignHash(2) + ",b\n" + strings.ToUpper(hash) + ",c\n", want: "line 4: it is the secret of line 2 again"},
		"a plain secret":      {text: "secret\nhunter2hunter2hunter2\n", want: "line 2: it holds a secret as it is: --plain"},
		"a hash, with plain":  {text: "hash\n" + hash + "\n", want: "line 2: with --plain, it must hold a secret", args: []string{"--plain"}},
		"too short a secret":  {text: "secret\nhunter2\n", want: "line 2: a secret must be 16 to 512", args: []string{"--plain"}},
		"a secret with space": {text: "secret\nhunter2 hunter2 hunter2\n", want: "line 2: a secret must be", args: []string{"--plain"}},
		"an access token":     {text: "secret\n" + token + "\n", want: "line 2: what is there as a secret is an access token", args: []string{"--plain"}},
		"an unknown member":   {text: `{"hash":"` + hash + `","nam":"hunter2"}`, want: "line 1: nam is no member the API knows"},
		"half a line":         {text: "{\"name\":\"a\",\"hash\":\"" + hash + "\"}\n{\"name\":\"hunter2", want: "line 2: not well-formed JSON"},
		"another JSON type":   {text: `{"name":["hunter2"]}`, want: "line 1: name must not be a JSON array"},
		"no JSON time":        {text: `{"expires_at":"hunter2"}`, want: "line 1: a time must be written as"},
		"a line too long":     {text: `{"name":"` + strings.Repeat("hunter2", 200_000), want: "line 1: bufio.Scanner: token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, test.text, append([]string{"keys", "import", "--from", "-"}, test.args...)...)
			require.Equal(t, 1, got.code)
			require.Contains(t, got.stderr, test.want)
			require.NotContains(t, got.stdout+got.stderr, "hunter2")
			require.NotContains(t, got.stdout+got.stderr, token)
		})
	}
	require.Empty(t, s.requests)
	require.Equal(t, 2, run(t, "", "keys", "import").code)
	require.Equal(t, 2, run(t, "", "keys", "import", "--from", "/nowhere").code)
}
