// Code generated from protocol.json by internal/generate. DO NOT EDIT.

package userservice

import "time"

// The codes of errors that this version knows.
const (
	// UNKNOWN_TYPE: No request has this type.
	CodeUnknownType ErrorCode = 0x0101
	// MALFORMED: A field is truncated, has the wrong length or is not valid UTF-8, or bytes follow the last field; or the request id is 0 or in flight.
	CodeMalformed ErrorCode = 0x0102
	// UNKNOWN_TAG: The request has an even tag that this server does not support.
	CodeUnknownTag ErrorCode = 0x0103
	// FRAME_TOO_LONG: The frame is too long, or the peer does not speak this protocol.
	CodeFrameTooLong ErrorCode = 0x0104
	// FRAME_TOO_SHORT: The frame is too short.
	CodeFrameTooShort ErrorCode = 0x0105
	// INVALID_USERNAME: The username is not valid: expected 3 to 32 code points without `@`, spaces or control characters.
	CodeInvalidUsername ErrorCode = 0x0201
	// INVALID_EMAIL: The email address is not valid.
	CodeInvalidEmail ErrorCode = 0x0202
	// INVALID_PASSWORD: The new password is too short, too long or too common.
	CodeInvalidPassword ErrorCode = 0x0203
	// NOTHING_TO_UPDATE: The update does not change anything.
	CodeNothingToUpdate ErrorCode = 0x0204
	// INVALID_VALUE: The value of the field is not valid.
	CodeInvalidValue ErrorCode = 0x0205
	// INVALID_CREDENTIALS: No active account has this login and password.
	CodeInvalidCredentials ErrorCode = 0x0301
	// INVALID_TOKEN: The token was not issued by this service, or it was altered.
	CodeInvalidToken ErrorCode = 0x0303
	// TOKEN_EXPIRED: The token has expired.
	CodeTokenExpired ErrorCode = 0x0304
	// SESSION_REVOKED: The session of the token has ended.
	CodeSessionRevoked ErrorCode = 0x0305
	// INVALID_CODE: The code is not the one that was emailed.
	CodeInvalidCode ErrorCode = 0x0306
	// CODE_EXPIRED: The code has expired, was used, has no guesses left, or was never issued.
	CodeCodeExpired ErrorCode = 0x0307
	// ACCOUNT_DISABLED: The password is correct, but an operator has disabled the account.
	CodeAccountDisabled ErrorCode = 0x0308
	// NOT_PERMITTED: The server answers this type of request only to peers that its operator trusts.
	CodeNotPermitted ErrorCode = 0x030A
	// USERNAME_TAKEN: Another active account has this username.
	CodeUsernameTaken ErrorCode = 0x0401
	// IDEMPOTENCY_CONFLICT: The idempotency key was used for another request.
	CodeIdempotencyConflict ErrorCode = 0x0402
	// EMAIL_TAKEN: Another active account has this email address.
	CodeEmailTaken ErrorCode = 0x0403
	// RATE_LIMITED: Too many attempts. Nothing was done.
	CodeRateLimited ErrorCode = 0x0501
	// BUSY: The server is overloaded. Nothing was done.
	CodeBusy ErrorCode = 0x0502
	// INTERNAL: The server failed. It is unknown whether the request was executed.
	CodeInternal ErrorCode = 0x0601
	// UNAVAILABLE: A service that the server needs is unavailable. It is unknown whether the request was executed.
	CodeUnavailable ErrorCode = 0x0602
	// SHUTTING_DOWN: The server is shutting down. Nothing was done; use another node.
	CodeShuttingDown ErrorCode = 0x0603
	// DEADLINE_EXCEEDED: The deadline passed. It is unknown whether the request was executed.
	CodeDeadlineExceeded ErrorCode = 0x0604
)

var knownCodes = map[ErrorCode]codeInfo{
	0x0101: {"UNKNOWN_TYPE", Refused, 500, false},
	0x0102: {"MALFORMED", Refused, 500, false},
	0x0103: {"UNKNOWN_TAG", Refused, 500, false},
	0x0104: {"FRAME_TOO_LONG", Refused, 500, false},
	0x0105: {"FRAME_TOO_SHORT", Refused, 500, false},
	0x0201: {"INVALID_USERNAME", Refused, 400, false},
	0x0202: {"INVALID_EMAIL", Refused, 400, false},
	0x0203: {"INVALID_PASSWORD", Refused, 400, false},
	0x0204: {"NOTHING_TO_UPDATE", Refused, 400, false},
	0x0205: {"INVALID_VALUE", Refused, 400, false},
	0x0301: {"INVALID_CREDENTIALS", Refused, 401, false},
	0x0303: {"INVALID_TOKEN", Refused, 401, false},
	0x0304: {"TOKEN_EXPIRED", Refused, 401, false},
	0x0305: {"SESSION_REVOKED", Refused, 401, false},
	0x0306: {"INVALID_CODE", Refused, 400, false},
	0x0307: {"CODE_EXPIRED", Refused, 400, false},
	0x0308: {"ACCOUNT_DISABLED", Refused, 403, false},
	0x030A: {"NOT_PERMITTED", Refused, 403, false},
	0x0401: {"USERNAME_TAKEN", Refused, 409, false},
	0x0402: {"IDEMPOTENCY_CONFLICT", Refused, 422, false},
	0x0403: {"EMAIL_TAKEN", Refused, 409, false},
	0x0501: {"RATE_LIMITED", NotDone, 429, false},
	0x0502: {"BUSY", NotDone, 503, true},
	0x0601: {"INTERNAL", Unknown, 500, false},
	0x0602: {"UNAVAILABLE", Unknown, 503, false},
	0x0603: {"SHUTTING_DOWN", NotDone, 503, true},
	0x0604: {"DEADLINE_EXCEEDED", Unknown, 504, false},
}

var knownClasses = map[byte]codeInfo{
	0x01: {"", Refused, 500, false},
	0x02: {"", Refused, 400, false},
	0x03: {"", Refused, 401, false},
	0x04: {"", Refused, 409, false},
	0x05: {"", NotDone, 429, true},
	0x06: {"", Unknown, 500, false},
}

var unknownClass = codeInfo{"", Refused, 500, false}

// Limits of the protocol.
const (
	defaultDeadline    = 10000 * time.Millisecond
	defaultIdleTimeout = 300000 * time.Millisecond
	maxDeadline        = 30000 * time.Millisecond
	maxErrorMessage    = 512
	defaultMaxHashing  = 32
	defaultMaxInFlight = 256
	maxInstant         = 9007199254740991
	maxLength          = 65535
	maxWait            = 5000 * time.Millisecond
	minLength          = 5
	defaultPingAfter   = 60000 * time.Millisecond
)
