// Package repositories keeps the entities in a database: PostgreSQL, or one
// SQLite file. It holds every line of SQL and of GORM, and both engines give
// the same answers, in the same order, with the same errors.
//
// Floor F3. It may import internal/models, the packages of floor F0 and
// migrations.
//
// Each repository is a small struct made from a [DB]. A method runs in the
// transaction that its context carries (see [DB.InTx]), or by itself, and is
// canceled after Options.QueryTimeout. Times are stored to the microsecond and
// come back in UTC.
//
// Errors of the drivers are translated once, here: apierror.CodeNotFound,
// apierror.CodeAlreadyExists naming the field, apierror.CodeConflict where a
// row is still referred to, apierror.CodePreconditionFailed for an update of a
// version no longer in force, and apierror.CodeStoreUnavailable for a database
// out of reach, too slow, full or read-only. Anything else is a fault of ours
// and passes as it is.
//
// Everything is safe for concurrent use.
package repositories
