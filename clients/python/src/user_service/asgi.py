"""Middleware for ASGI applications (Starlette, FastAPI, Django, Quart): checks access tokens."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Optional, Union
from uuid import UUID

from ._checks import known_options
from ._codec import is_address
from .http import HttpAnswer, to_http
from .secret import Secret
from .verdict import TokenChecker, Verified, VerifyError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Key of the scope under which the application finds the content of the token.
SCOPE_KEY = "user_service"
_TOKEN_KEY = "user_service.token"

_NO_TOKEN = "the request has no valid access token, or AuthMiddleware is missing"
_MISSING = HttpAnswer(401, {"WWW-Authenticate": "Bearer"}, {"error": "unauthorized"})
_INVALID = HttpAnswer(
    401, {"WWW-Authenticate": 'Bearer error="invalid_request"'}, {"error": "unauthorized"}
)


@known_options
class AuthMiddleware:
    """Passes only requests with a valid access token (`Authorization: Bearer ...`) on.

    Other requests get 401, or 503 while tokens cannot be checked. The application finds the user
    with `user_id(scope)`. WebSockets are checked in the same way before they are accepted.
    """

    def __init__(
        self,
        app: App,
        verifier: TokenChecker,
        *,
        public: Union[Iterable[str], Callable[[Scope], bool]] = (),
        client_address: Optional[Callable[[Scope], Optional[str]]] = None,
    ) -> None:
        """Wraps an application.

        `public` are the paths that need no token, or a function. A token is checked on these paths
        too, if the request has one: `verified` then returns its content, and `None` if there is
        none. `client_address` returns the IP address of the end user for the service: use
        `peer_address` if no proxy is in front, or if the server has put the right address into the
        scope. Raises TypeError or ValueError for wrong arguments.

        Times in which tokens cannot be checked are reported to the logger `user_service` by the
        verifier.
        """
        _expect_callable("app", app, "an ASGI application")
        check = getattr(verifier, "verify", None)
        if isinstance(verifier, type) or not callable(check):
            kind = verifier.__name__ if isinstance(verifier, type) else type(verifier).__name__
            raise TypeError(
                f"AuthMiddleware: verifier is {kind}; expected an object of "
                "Verifier or RemoteVerifier, as in AuthMiddleware(app, Verifier(client))"
            )
        self._app, self._verifier = app, verifier
        if client_address is not None:
            _expect_callable("client_address", client_address, "a function of the scope")
        self._client_address = client_address or _no_address
        if callable(public):
            # A coroutine would be true for every request.
            _expect_callable("public", public, "paths, or a function of the scope")
            self._is_public: Callable[[Scope], bool] = public
        else:
            paths = _paths(public)
            self._is_public = lambda scope: scope.get("path") in paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # Nothing that a server or another middleware has put there counts.
        scope = {**scope, SCOPE_KEY: None, _TOKEN_KEY: None}
        refusal = await self._check(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _respond(send, refusal)
        else:
            await _reject(scope, receive, send, refusal)

    async def _check(self, scope: Scope) -> Optional[HttpAnswer]:
        """Puts the content of the token into the scope. Returns the answer to a refused request."""
        values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        is_public = self._is_public(scope)
        if inspect.isawaitable(is_public):
            if inspect.iscoroutine(is_public):
                is_public.close()
            raise TypeError("AuthMiddleware: public returned an awaitable; expected True or False")
        if not values:
            return None if is_public else _MISSING
        scheme, _, token = values[0].partition(b" ")
        token = token.strip(b" ")
        if len(values) > 1 or scheme.lower() != b"bearer" or not token:
            return None if is_public else _INVALID
        try:
            scope[SCOPE_KEY] = await self._verifier.verify(
                token, client_address=self._client_address(scope)
            )
        except VerifyError as error:
            return None if is_public else to_http(error)
        scope[_TOKEN_KEY] = Secret(token)
        return None


def _expect_callable(name: str, value: object, expected: str) -> None:
    if not callable(value):
        raise TypeError(
            f"AuthMiddleware: {name} has the type {type(value).__name__}; expected {expected}"
        )
    if name != "app" and inspect.iscoroutinefunction(value):
        raise TypeError(f"AuthMiddleware: {name} is an async function; expected {expected}")


def _paths(public: Union[str, Iterable[str]]) -> frozenset[str]:
    expected = 'expected paths such as "/login", or a function of the scope'
    try:
        paths = frozenset([public] if isinstance(public, str) else public)
    except TypeError:
        kind = type(public).__name__
        raise TypeError(f"AuthMiddleware: public has the type {kind}; {expected}") from None
    for path in paths:
        if not isinstance(path, str):
            kind = type(path).__name__
            raise TypeError(f"AuthMiddleware: public contains the type {kind}; {expected}")
        if not path.startswith("/") or "?" in path or "*" in path:
            raise ValueError(f"AuthMiddleware: public contains {path!r}; {expected}")
    return paths


def verified(scope: Scope) -> Optional[Verified]:
    """Returns the content of the request's access token, or `None` if it has none."""
    found = scope.get(SCOPE_KEY)
    return found if isinstance(found, Verified) else None


def user_id(scope: Scope) -> UUID:
    """Returns the user of the request. Raises LookupError if it has no valid access token."""
    found = verified(scope)
    if found is None:
        raise LookupError(_NO_TOKEN)
    return found.user_id


def access_token(scope: Scope) -> Secret:
    """Returns the access token of the request, for calls on behalf of its user.

    Raises LookupError if the request has no valid one.
    """
    found = scope.get(_TOKEN_KEY)
    if verified(scope) is None or not isinstance(found, Secret):
        raise LookupError(_NO_TOKEN)
    return found


def peer_address(scope: Scope) -> Optional[str]:
    """Returns the IP address of the connection, if the server tells it."""
    client = scope.get("client")
    address = client[0] if client else None
    return address if isinstance(address, str) and is_address(address) else None


def _no_address(_scope: Scope) -> None:
    return None


def _headers(answer: HttpAnswer, body: bytes) -> list[tuple[bytes, bytes]]:
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        **answer.headers,
    }
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


async def _respond(send: Send, answer: HttpAnswer, kind: str = "http.response") -> None:
    body = json.dumps(answer.body).encode()
    await send(
        {"type": f"{kind}.start", "status": answer.status, "headers": _headers(answer, body)}
    )
    await send({"type": f"{kind}.body", "body": body})


async def _reject(scope: Scope, receive: Receive, send: Send, answer: HttpAnswer) -> None:
    """Refuses a WebSocket before it is accepted."""
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        await _respond(send, answer, "websocket.http.response")
    else:
        # The server answers 403.
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
