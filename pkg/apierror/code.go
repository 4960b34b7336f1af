package apierror

import (
	"maps"
	"net/http"
	"slices"
)

// Code names what went wrong. It is the part of an error a program may branch on:
// a published code keeps its meaning and its status, new codes may appear.
//
// A Code is itself an error, so that it can be the target of errors.Is:
//
//	if errors.Is(err, apierror.CodeNotFound) { … }
type Code string

const (
	CodeBadRequest           Code = "bad_request"            // malformed in some other way than its JSON
	CodeInvalidJSON          Code = "invalid_json"           // the body is not one well-formed JSON value
	CodeUnauthorized         Code = "unauthorized"           // no valid access token
	CodeForbidden            Code = "forbidden"              // a valid token without the scope
	CodeNotFound             Code = "not_found"              // absent, or not the caller's to see
	CodeNotRecorded          Code = "not_recorded"           // a check that sampling left out
	CodeMethodNotAllowed     Code = "method_not_allowed"     // the path exists, the method does not
	CodeNotAcceptable        Code = "not_acceptable"         // no representation the Accept header allows
	CodeConflict             Code = "conflict"               // the object's state forbids the change
	CodeNotSettleable        Code = "not_settleable"         // a check whose cost cannot be corrected any more
	CodeAlreadyExists        Code = "already_exists"         // a unique name or id is taken
	CodeIdempotencyConflict  Code = "idempotency_conflict"   // the first call with this Idempotency-Key still runs
	CodePreconditionFailed   Code = "precondition_failed"    // If-Match names a stale version
	CodePayloadTooLarge      Code = "payload_too_large"      // the body exceeds the operation's cap
	CodeUnsupportedMediaType Code = "unsupported_media_type" // the Content-Type is absent or not served
	CodeValidationFailed     Code = "validation_failed"      // well-formed, but fields break their rules
	CodeIdempotencyMismatch  Code = "idempotency_mismatch"   // an Idempotency-Key used again for another request
	CodeCheckIDConflict      Code = "check_id_conflict"      // a check_id used again for another check
	CodePreconditionRequired Code = "precondition_required"  // a change without If-Match
	CodeRateLimited          Code = "rate_limited"           // the caller of this API is too fast
	CodeInternal             Code = "internal"               // our fault, and unexpected
	CodeUnavailable          Code = "unavailable"            // starting, draining, or cut off midway
	CodeStoreUnavailable     Code = "store_unavailable"      // a store the answer depends on is out of reach
	CodeTimeout              Code = "timeout"                // the time allowed for the request ran out
)

type entry struct {
	status int
	title  string
}

var table = map[Code]entry{
	CodeBadRequest:           {http.StatusBadRequest, "Bad request"},
	CodeInvalidJSON:          {http.StatusBadRequest, "Invalid JSON"},
	CodeUnauthorized:         {http.StatusUnauthorized, "Authentication required"},
	CodeForbidden:            {http.StatusForbidden, "Not permitted"},
	CodeNotFound:             {http.StatusNotFound, "Not found"},
	CodeNotRecorded:          {http.StatusNotFound, "Check not recorded"},
	CodeMethodNotAllowed:     {http.StatusMethodNotAllowed, "Method not allowed"},
	CodeNotAcceptable:        {http.StatusNotAcceptable, "Not acceptable"},
	CodeConflict:             {http.StatusConflict, "Conflict"},
	CodeNotSettleable:        {http.StatusConflict, "Check cannot be settled"},
	CodeAlreadyExists:        {http.StatusConflict, "Already exists"},
	CodeIdempotencyConflict:  {http.StatusConflict, "Request still in progress"},
	CodePreconditionFailed:   {http.StatusPreconditionFailed, "Stale version"},
	CodePayloadTooLarge:      {http.StatusRequestEntityTooLarge, "Payload too large"},
	CodeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "Unsupported media type"},
	CodeValidationFailed:     {http.StatusUnprocessableEntity, "Validation failed"},
	CodeIdempotencyMismatch:  {http.StatusUnprocessableEntity, "Idempotency key reused"},
	CodeCheckIDConflict:      {http.StatusUnprocessableEntity, "Check id reused"},
	CodePreconditionRequired: {http.StatusPreconditionRequired, "Version required"},
	CodeRateLimited:          {http.StatusTooManyRequests, "Too many requests"},
	CodeInternal:             {http.StatusInternalServerError, "Internal error"},
	CodeUnavailable:          {http.StatusServiceUnavailable, "Service unavailable"},
	CodeStoreUnavailable:     {http.StatusServiceUnavailable, "Store unavailable"},
	CodeTimeout:              {http.StatusServiceUnavailable, "Timed out"},
}

// Codes returns every code of this version, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(table)) }

// Status is the HTTP status the code is sent with; 500 for a code this version does not know.
func (c Code) Status() int {
	if e, ok := table[c]; ok {
		return e.status
	}
	return http.StatusInternalServerError
}

// Title is a short summary for people, the same for every occurrence of the code;
// the code itself for one this version does not know.
func (c Code) Title() string {
	if e, ok := table[c]; ok {
		return e.title
	}
	return string(c)
}

// Error returns the code.
func (c Code) Error() string { return string(c) }

// codeForStatus is the most general code of an HTTP status, for answers that carry none.
func codeForStatus(status int) Code {
	switch status {
	case http.StatusUnauthorized:
		return CodeUnauthorized
	case http.StatusForbidden:
		return CodeForbidden
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusMethodNotAllowed:
		return CodeMethodNotAllowed
	case http.StatusNotAcceptable:
		return CodeNotAcceptable
	case http.StatusConflict:
		return CodeConflict
	case http.StatusPreconditionFailed:
		return CodePreconditionFailed
	case http.StatusRequestEntityTooLarge:
		return CodePayloadTooLarge
	case http.StatusUnsupportedMediaType:
		return CodeUnsupportedMediaType
	case http.StatusUnprocessableEntity:
		return CodeValidationFailed
	case http.StatusPreconditionRequired:
		return CodePreconditionRequired
	case http.StatusTooManyRequests:
		return CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return CodeUnavailable
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return CodeTimeout
	}
	if status >= 400 && status < 500 {
		return CodeBadRequest
	}
	return CodeInternal
}
