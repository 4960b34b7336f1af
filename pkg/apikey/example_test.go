package apikey_test

import (
	"fmt"

	"github.com/viva/rate-limiter/pkg/apikey"
)

func ExampleGenerate() {
	secret, err := apikey.Generate("viva", apikey.Test)
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := apikey.Parse(secret.Reveal())
	fmt.Println(key.Prefix, key.Environment, len(secret.Reveal()), err)
	// Output: viva test 48 <nil>
}

func ExamplePrefixes_Classify() {
	ours := apikey.NewPrefixes("viva")
	for _, s := range []string{
		"viva_live_0123456789ABCDEFGHIJKLMNOPQRSTUV1NsHmi",
		"viva_live_0123456789ABCDEFGHIJKLMNOPQRSTUX1NsHmi",
		"sk-imported-from-elsewhere",
	} {
		switch ours.Classify(s) {
		case apikey.Generated:
			fmt.Println("look up")
		case apikey.Foreign:
			fmt.Println("look up among imported keys")
		case apikey.Malformed:
			fmt.Println("refuse")
		}
	}
	// Output:
	// look up
	// refuse
	// look up among imported keys
}

func ExampleMask() {
	fmt.Println(apikey.Mask("viva_live_0123456789ABCDEFGHIJKLMNOPQRSTUV1NsHmi"))
	fmt.Println(apikey.Mask("sk-imported-from-elsewhere"))
	// Output:
	// viva_live_…sHmi
	// …here
}

func ExampleSum() {
	hash := apikey.Sum("viva_live_0123456789ABCDEFGHIJKLMNOPQRSTUV1NsHmi")
	fmt.Println(hash)
	// Output: 5d63a0da08c6ea42900e0f86874d7ac9527be0235986fcfbc7dbb4c0e4d0debc
}
