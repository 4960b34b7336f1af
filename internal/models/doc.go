// Package models holds the entities of the domain and the values that services
// and edges share: plain structs with GORM column tags, the verbs that guard
// their invariants, and nothing that talks to the outside.
//
// Floor F1. It may import the floor F0 packages pkg/apierror, pkg/apikey and
// pkg/ratelimit. The GORM tags are plain strings: GORM itself is not imported.
//
// Entities are not safe for concurrent mutation. A compiled [Snapshot] is
// immutable and shared by many goroutines.
package models
