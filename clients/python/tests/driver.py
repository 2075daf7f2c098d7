#!/usr/bin/env python3
"""The driver for `user-cli conform`, which tests the behaviour of the client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Optional
from uuid import UUID

# Without the module `support`, which takes long to import: each case starts a driver.
if not os.environ.get("USER_SERVICE_INSTALLED"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from user_service import AUTO, Client, Config, ServerError, Tls, UserServiceError  # noqa: E402
from user_service._messages import REQUESTS  # noqa: E402
from user_service.secret import Secret  # noqa: E402
from user_service.verdict import (  # noqa: E402
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
    VerifyUnavailable,
)

Json = dict[str, Any]
MESSAGES = {request.NAME: request for request in REQUESTS}
VERDICTS = {
    TokenInvalid: "invalid",
    TokenExpired: "expired",
    TokenRevoked: "revoked",
    VerifyUnavailable: "unavailable",
}


def to_python(kind: str, value: Any) -> Any:
    if kind == "secret":
        return Secret(bytes.fromhex(value["hex"]) if isinstance(value, dict) else value)
    if kind in ("bytes", "key"):
        return bytes.fromhex(value)
    return UUID(value) if kind == "uuid" else value


def to_json(kind: str, value: Any) -> Any:
    if kind == "secret":
        return value.reveal()
    if kind in ("bytes", "key"):
        return value.hex()
    if kind == "list":
        return [fields_of(row) for row in value]
    if kind == "error_code":
        return f"{value:04X}"
    return str(value) if kind == "uuid" else value


def fields_of(message: Any) -> Json:
    values = {field.name: getattr(message, field.name) for field in message.FIELDS}
    return {
        field.name: to_json(field.kind, values[field.name])
        for field in message.FIELDS
        if values[field.name] is not None and values[field.name] is not False
    }


class Driver:
    client: Optional[Client] = None
    verifier: Any = None

    async def connect(self, message: Json) -> Json:
        tls = message["tls"]
        config = Config(
            tls=tls
            and Tls(
                ca=tls["ca"],
                certificate=tls["cert"],
                key=tls["key"],
                server_name=tls["server_name"],
            ),
            allow_plaintext=message["allow_plaintext"],
        )
        self.client = Client(message["addresses"], config)
        if message["verifier"]:
            try:
                from user_service.verifier import Verifier, VerifierConfig
            except ImportError as error:
                return {"unsupported": str(error)}
            options = message["verifier"]
            self.verifier = Verifier(
                self.client,
                VerifierConfig(
                    issuer=options["issuer"],
                    audience=options["audience"],
                    age_limit=options["age_limit_ms"] / 1000,
                ),
            )
            self.verifier.start()
        return {"ok": {}}

    async def call(self, message: Json) -> Json:
        assert self.client
        request = MESSAGES[message["message"]]
        kinds = {field.name: field.kind for field in request.FIELDS}
        values = {n: to_python(kinds[n], value) for n, value in message["fields"].items()}
        key: Any = message["key"]
        if key is not None:
            key = AUTO if key == "auto" else bytes.fromhex(key)
        deadline = message["deadline_ms"]
        try:
            reply: Any = await self.client.call(
                request(**values),
                idempotency_key=key,
                deadline=None if deadline is None else deadline / 1000,
            )
        except UserServiceError as error:
            is_server = isinstance(error, ServerError)
            return {
                "error": {
                    "code": f"{error.code:04X}" if isinstance(error, ServerError) else None,
                    "outcome": error.outcome,
                    "retry_after_ms": error.retry_after_ms
                    if isinstance(error, ServerError)
                    else None,
                    "text": f"{type(error).__name__}: {error}" if not is_server else str(error),
                }
            }
        return {"ok": {"message": reply.NAME, "fields": fields_of(reply)}}

    async def verify(self, message: Json) -> Json:
        try:
            await self.verifier.verify(message["token"])
        except tuple(VERDICTS) as error:
            return {"ok": {"verdict": VERDICTS[type(error)]}}
        return {"ok": {"verdict": "valid"}}

    async def close(self, _message: Json) -> Json:
        if self.verifier:
            await self.verifier.close()
        assert self.client
        await self.client.close()
        return {"ok": {}}

    async def answer(self, message: Json) -> None:
        try:
            answer = await getattr(self, message["op"])(message)
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({"id": message["id"], **answer}) + "\n")
        sys.stdout.flush()


async def main() -> None:
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    driver = Driver()
    tasks = set()
    while line := await reader.readline():
        tasks.add(asyncio.create_task(driver.answer(json.loads(line))))
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
