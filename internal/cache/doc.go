// Package cache keeps what every check needs close at hand, and hears of
// changes to it: the snapshots of keys and the keyspace directory ([Keys]),
// access tokens ([Tokens]), the feed of invalidations ([Feed]), and the Redis
// client they share ([OpenRedis], [Probe]).
//
// Floor F3. It may import internal/models and the packages of floor F0; it
// knows neither the repositories nor the configuration.
//
// # Staleness without clocks
//
// A cached value is made from rows, and every change of a row raises the row's
// version. The value remembers the versions it was made from; an invalidation
// raises the version known of its subject. A value made from less than what is
// known is stale, whichever of the two came first. So a change that commits in
// the middle of a load needs no lock and no clock to be noticed: the load
// stores a value that is stale already.
//
// Two subjects are known before anything is read, a secret's hash and the
// directory of keyspaces: they are anchors. What no rows can vouch for, that
// there is no such key, or a list of all keyspaces, is bound to the count of
// its anchor's invalidations when the read began.
//
// Values live in memory, and snapshots also in Redis, where each subject's
// highest version lies beside them for longer than they do.
//
// # When the feed is silent
//
// The feed is healthy while it has polled the database within a second, or has
// heard its own heartbeat over a subscription without gaps. Otherwise nothing
// proves that a value is still right, and one that was read over a second ago
// is read again: at most once a second, waiting at most 50 ms, and served as
// it is if that brings nothing, for as long as Options.MaxStale allows. A value
// known to be stale is never served.
package cache
