// Package servers starts what is measured, and what that needs, from the machine's programs and from source: each a
// process of its own on a free port of the loopback, with its files in a temporary folder, gone with this process
// however it ends.
package servers
