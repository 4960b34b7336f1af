// Package journal is the append-only file between an answer and the database: a
// record is in it before the answer leaves, and stays until the database has it.
//
// Floor F3. It may import internal/models and the packages of floor F0. It knows
// nothing of what it carries: payloads are bytes.
//
// # What is promised
//
// When [Journal.Append] has returned nil, the record survives the death of the
// process, for the kernel has it, in the pages of a file. With
// [FsyncAlways] it survives that of the machine too; with [FsyncInterval] what
// was written within the last interval may be lost with the machine. While the
// disk takes nothing, records are held in memory and are lost with the process;
// [Options].Refuse is for those who would rather have an error.
//
// # Streams
//
// Every opening of a folder begins a stream: a random id, and sequence numbers
// from 1. What earlier runs have left is read under their own ids and never
// written to, so that a copy of a folder cannot be mistaken for the original.
//
// # Who does what
//
// Appenders add their record to a group; the first of them takes the pen, and
// writes the group with one copy into the file while the next group gathers. A
// process that dies in that leaves the first records of the group, which nobody
// has been told of, and nothing behind them. Whoever has the pen is alone in
// writing the stream, and owns the fields that say so. Syncing, making the next
// segment, and trying again after a failure belong to two goroutines that
// [Journal.Close] awaits.
//
// Locks are taken in this order: Journal.syncing, the pen (Journal.mu guards
// who has it), shelf.mu. Positions of readers have locks of their own, which
// come before shelf.mu.
package journal
