// Package metrics is what Prometheus is told.
//
// Two things happen here. What only a call itself can tell (that it happened, and
// how long it took) is counted by [Requests], [Checks], [LimitStore], [Ingest]
// and [Work], which cost a few atomic additions and allocate nothing.
// Everything else is asked for at a scrape: a [Source] tells numbers that are kept
// anyway. The app joins both to what they are about.
//
// No label holds anything that callers make up or that grows with their number.
//
// Floor F3. It may import models, services and the packages of floor F0.
// Everything here is safe for concurrent use.
package metrics
