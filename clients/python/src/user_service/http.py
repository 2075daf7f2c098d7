"""Errors in terms of HTTP, for gateways."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ._messages import HTTP_STATUS, HTTP_STATUS_OF_CLASS, HTTP_STATUS_OF_OTHERS, ErrorCode
from .errors import InvalidRequest, PlaintextRefused, ServerError, UserServiceError
from .verdict import TokenExpired, TokenInvalid, TokenRevoked, VerifyUnavailable


@dataclass(frozen=True)
class HttpAnswer:
    """An answer of a gateway to its own client: status, headers, and a JSON body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def to_http(error: BaseException) -> HttpAnswer:
    """Returns the answer of a gateway to a request that ended with this error.

    A lost connection and an error of the service never become a 401: the token of the end user may
    be valid. A mistake of the gateway, such as a wrong argument, is a 500. The body contains the
    name of the error, and the field that it is about.
    """
    if isinstance(error, ServerError) and not _is_about_the_connection(error):
        return _of_code(error)
    if isinstance(error, (InvalidRequest, PlaintextRefused)):
        # A mistake in the gateway itself, which is the same at the next attempt.
        return HttpAnswer(500, {}, {"error": "internal"})
    if isinstance(error, UserServiceError):
        status = 504 if error.outcome == "unknown" else 503
        return HttpAnswer(status, {}, {"error": _snake(type(error).__name__)})
    if isinstance(error, (TokenInvalid, TokenExpired, TokenRevoked)):
        code = {
            TokenInvalid: ErrorCode.INVALID_TOKEN,
            TokenExpired: ErrorCode.TOKEN_EXPIRED,
            TokenRevoked: ErrorCode.SESSION_REVOKED,
        }[type(error)]
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return HttpAnswer(401, headers, {"error": code.name.lower()})
    if isinstance(error, VerifyUnavailable):
        return HttpAnswer(503, {"Retry-After": "1"}, {"error": "unavailable"})
    return HttpAnswer(500, {}, {"error": "internal"})


def _is_about_the_connection(error: ServerError) -> bool:
    """Returns `True` for an error that did not answer the request itself."""
    return error.outcome == "unknown" and error.code >> 8 == 1


def _of_code(error: ServerError) -> HttpAnswer:
    code = error.code
    status = HTTP_STATUS.get(code) or HTTP_STATUS_OF_CLASS.get(code >> 8, HTTP_STATUS_OF_OTHERS)
    headers = {}
    if code >> 8 == 5:
        millis = error.retry_after_ms
        headers["Retry-After"] = "1" if millis is None else str(math.ceil(millis / 1000))
    elif code in (ErrorCode.UNAVAILABLE, ErrorCode.SHUTTING_DOWN):
        headers["Retry-After"] = "1"
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = {"error": error.name.lower()}
    if error.field is not None:
        body["field"] = error.field
    return HttpAnswer(status, headers, body)


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
