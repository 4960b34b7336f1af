package notify

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/pkg/apierror"
)

func TestURLs(t *testing.T) {
	const (
		form     = "must be a URL such as https://example.com/hooks, of at most 2048 characters of ASCII"
		port     = "must have a port from 1 to 65535, or none"
		user     = "must not hold a name or password: send them in a header"
		fragment = "must not have a fragment"
		public   = "must name a public address, or one in notify.allow_networks"
		https    = "must begin with https:// (notify.allow_http permits http)"
	)
	strict := New(Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}})
	loose := New(Options{AllowHTTP: true})
	for text, want := range map[string][2]string{ // what is said with networks allowed, and with http
		"https://example.com":                              {},
		"https://example.com/a/b?c=d":                      {},
		"HTTPS://Example.COM:8443/":                        {},
		"https://bücher.example":                           {form, form},
		"https://xn--bcher-kva.example":                    {},
		"https://1.1.1.1":                                  {},
		"https://[2606:4700:4700::1111]:99":                {},
		"https://a_b.example.":                             {},
		"http://example.com":                               {https, ""},
		"http://10.1.2.3":                                  {"", public},
		"https://10.1.2.3":                                 {"", public},
		"http://[::ffff:10.1.2.3]":                         {"", public},
		"http://localhost:8080":                            {"", ""},
		"https://127.0.0.2":                                {public, public},
		"https://[::1]":                                    {public, public},
		"https://[fe80::1%25eth0]":                         {public, public},
		"https://169.254.169.254/latest":                   {public, public},
		"https://[::ffff:127.0.0.2]":                       {public, public},
		"https://2130706433":                               {form, form},
		"https://0x7f000001":                               {form, form},
		"https://127.1":                                    {form, form},
		"https://a.0x7f":                                   {form, form},
		"ftp://example.com":                                {form, form},
		"example.com":                                      {form, form},
		"https:example.com":                                {form, form},
		"https://":                                         {form, form},
		"https:///path":                                    {form, form},
		"https://example.com:":                             {form, form},
		"https://a..b":                                     {form, form},
		"https://a b.example":                              {form, form},
		"https://example.com/a b":                          {form, form},
		"https://example.com/\r\nX: y":                     {form, form},
		"https://example.com/%zz":                          {form, form},
		"https://example.com:0":                            {port, port},
		"https://example.com:65536":                        {port, port},
		"https://hunter2:x@example.com":                    {user, user},
		"https://hunter2@example.com":                      {user, user},
		"https://example.com/#hunter2":                     {fragment, fragment},
		"https://example.com/#":                            {fragment, fragment},
		"https://example.com/" + strings.Repeat("a", 2048): {form, form},
		"https://" + strings.Repeat("a", 64) + ".example":  {form, form},
	} {
		for i, s := range []*Sender{strict, loose} {
			require.Equal(t, want[i], said(s, &models.Destination{URL: text})["url"], text)
		}
	}
}

// said is what Check complains of, by field.
func said(s *Sender, d *models.Destination) map[string]string {
	var v apierror.Validator
	s.Check(&v, d)
	all := map[string]string{}
	if e, bad := apierror.As(v.Err()); bad {
		for _, f := range e.Fields {
			all[f.Name] += f.Detail
		}
	}
	return all
}

func TestHeaders(t *testing.T) {
	const (
		name   = "must have names of 1 to 128 letters, digits and hyphens, such as X-Team"
		taken  = "must not name a header that is set by this service: webhook-*, Host, Content-Type, User-Agent and those of the connection"
		twice  = "must name each header once, in whatever case"
		values = "must have values of at most 1024 visible ASCII characters and spaces, none at the ends"
	)
	many := map[string]string{}
	for i := range 21 {
		many["X-"+strconv.Itoa(i)] = "v"
	}
	s := New(Options{})
	for label, row := range map[string]struct {
		headers map[string]string
		want    string
	}{
		"none":            {nil, ""},
		"usual":           {map[string]string{"Authorization": "Bearer x y", "x-team": "", "Cookie": "a=b"}, ""},
		"too many":        {many, "must be at most 20"},
		"empty name":      {map[string]string{"": "v"}, name},
		"name with colon": {map[string]string{"X:": "v"}, name},
		"name with break": {map[string]string{"X\r\nY": "v"}, name},
		"name of letters": {map[string]string{"Ü": "v"}, name},
		"long name":       {map[string]string{strings.Repeat("x", 129): "v"}, name},
		"the standard's":  {map[string]string{"webhook-signature": "v"}, taken},
		"host":            {map[string]string{"HOST": "v"}, taken},
		"length":          {map[string]string{"content-length": "v"}, taken},
		"chunks":          {map[string]string{"transfer-encoding": "chunked"}, taken},
		"agent":           {map[string]string{"User-Agent": "v"}, taken},
		"twice":           {map[string]string{"x-a": "v", "X-A": "w"}, twice},
		"value injected":  {map[string]string{"X-A": "v\r\nX-B: w"}, values},
		"value of NUL":    {map[string]string{"X-A": "v\x00"}, values},
		"value of ends":   {map[string]string{"X-A": " v"}, values},
		"value of umlaut": {map[string]string{"X-A": "ü"}, values},
		"long value":      {map[string]string{"X-A": strings.Repeat("v", 1025)}, values},
	} {
		t.Run(label, func(t *testing.T) {
			require.Equal(t, row.want, said(s, &models.Destination{Headers: row.headers})["headers"])
		})
	}
}

func TestAddresses(t *testing.T) {
	const form = "must be an e-mail address such as ops@example.com"
	s := New(Options{})
	for address, good := range map[string]bool{
		"ops@example.com": true, "a.b+c@example.com": true, "ö@example.com": true, "a@[127.0.0.1]": true,
		"": false, "ops": false, "@example.com": false, "Ops <ops@example.com>": false, "<ops@example.com>": false,
		"a@b.example, c@d.example": false, "a@b.example\r\nBcc: c@d.example": false, "\"a\r\nb\"@example.com": false,
		"\"a b\"@example.com": false, "\"a>b\"@example.com": false, " a@b.example": false, "a@b.example ": false,
		"a\u2028@b.example": false, strings.Repeat("a", 250) + "@b.example": false,
	} {
		want := map[string]string{}
		if !good {
			want["to[1]"] = form
		}
		require.Equal(t, want, said(s, &models.Destination{To: []string{"first@example.com", address}}), address)
	}
	require.Equal(t, map[string]string{"to[1]": "must not be there twice"},
		said(s, &models.Destination{To: []string{"a@b.example", "A@B.example"}}))
}
