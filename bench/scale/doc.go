// The scale benchmark measures the service with a thousand keys and with ten million, on SQLite and on PostgreSQL: what
// is measured over HTTP should take the same time with both. It writes RESULTS-scale.md beside the other results.
//
//	make bench-scale                             all sizes on both engines
//	make bench-scale BENCHFLAGS=-quick           up to 100,000 keys
//	make bench-scale BENCHFLAGS='-sizes 1000,100000,1000000 -engines sqlite'
package main
