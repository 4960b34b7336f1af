//go:build !amd64

package ratelimit

func prefetch(*entry) {}
