package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/viva/rate-limiter/pkg/apierror"
	"github.com/viva/rate-limiter/pkg/client"
)

// service stands in for `viva serve`: it always gives these answers.
func service(answers map[string]string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			if err := apierror.NotFound("key").Write(w, "r1"); err != nil {
				log.Print(err)
			}
			return
		}
		w.Header().Set("ETag", `"1-5f1c"`)
		answer(w, 200, body)
	}))
}

func Example() {
	server := service(map[string]string{
		"POST /api/v1/keys":     `{"id":"0198c0de","name":"Checkout","owner":"cust_42","plan":"pro","secret":"viva_live_…"}`,
		"POST /api/v1/validate": `{"allowed":false,"code":"rate_limited","retry_after_ms":1200}`,
	})
	defer server.Close()

	viva, err := client.New(server.URL, client.WithToken("vivat_0123"))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	created, err := viva.Keys.Create(ctx, client.NewKey{
		Name: "Checkout", Owner: "cust_42",
		Rules: []client.Rule{{Name: "per-second", Limit: 10, Window: time.Second}},
	})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := viva.Validate(ctx, client.Check{APIKey: created.Secret, Method: "GET", Endpoint: "/v1/carts"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(created.Name, "of", created.Owner)
	if !answer.Allowed {
		fmt.Println("refused:", answer.Code, "for", answer.RetryAfter())
	}
	// Output:
	// Checkout of cust_42
	// refused: rate_limited for 1.2s
}

func ExampleKeys_List() {
	server := service(map[string]string{
		"GET /api/v1/keys": `{"data":[{"id":"1","name":"Checkout"},{"id":"2","name":"Search"}],"next_cursor":null}`,
	})
	defer server.Close()

	viva, err := client.New(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	for key, err := range viva.Keys.List(context.Background(), client.KeyFilter{Owner: "cust_42"}, client.Page{Sort: "name"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(key.Name)
	}
	// Output:
	// Checkout
	// Search
}

// A change says which version it is about, so that it never undoes one that
// somebody else made in between.
func ExampleKeys_Update() {
	server := service(map[string]string{
		"GET /api/v1/keys/0198c0de":   `{"id":"0198c0de","name":"Checkout","tags":["eu"]}`,
		"PATCH /api/v1/keys/0198c0de": `{"id":"0198c0de","name":"Checkout","tags":["eu","vip"]}`,
	})
	defer server.Close()

	viva, err := client.New(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	key, err := viva.Keys.Get(ctx, "0198c0de")
	if err != nil {
		log.Fatal(err)
	}
	key, err = viva.Keys.Update(ctx, key.ID, key.ETag, client.KeyPatch{
		Tags:      client.Set(append(key.Tags, "vip")),
		ExpiresAt: client.Clear[time.Time](),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Tags)
	// Output: [eu vip]
}

func ExampleKeys_Get_notFound() {
	server := service(nil)
	defer server.Close()

	viva, err := client.New(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	_, err = viva.Keys.Get(context.Background(), "0198c0de")
	if errors.Is(err, apierror.CodeNotFound) {
		fmt.Println(err)
	}
	// Output: get key: not_found: There is no such key (request r1)
}
