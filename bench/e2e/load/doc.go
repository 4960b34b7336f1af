// Package load asks an HTTP server for one thing again and again, as fast as it answers or at a fixed rate, and times
// it. One thread with an epoll loop holds all connections, so that little of the machine is taken from the server: what
// it sends is formatted beforehand but for the keys, and of what it receives it reads what it must. Requests are not
// pipelined. It knows nothing of what is asked.
package load
