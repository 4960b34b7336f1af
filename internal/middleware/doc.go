// Package middleware holds what stands before every HTTP handler: request ids,
// traces, the access log, recovery, the one table from errors to problem answers, body
// caps, the client's address, CORS and security headers, and authentication
// with its scopes.
//
// Floor F3. It may import models and the packages of floor F0; it knows no
// controller and no service. Everything here is safe for concurrent use.
//
// The order that [Install] sets: request id, trace, access log, recovery, problems,
// security headers, CORS. Authentication and body caps are asked for by each
// operation.
package middleware
