#!/usr/bin/env python3
"""Measures the check of a token that was seen before."""

from __future__ import annotations

import asyncio
import sys
import time

from test_tokens import Signer, follow

from user_service._outage import Outage
from user_service.verifier import Verifier

COUNT = 50_000
LIMIT_NS = 5_000


async def main() -> int:
    signer = Signer()
    local, _ = follow(signer.jwk())
    token = signer.token().decode()
    # A verifier with this state, and without a connection.
    verifier = Verifier.__new__(Verifier)
    verifier._local, verifier._task, verifier._is_closed = local, None, True
    verifier._outage = Outage()
    results: dict[str, float] = {"verify": 0.0, "verify_local": 0.0, "first check": 0.0}
    best = dict.fromkeys(results, float("inf"))
    for _ in range(5):
        local.complete_at = time.monotonic_ns()
        began = time.process_time_ns()
        for _ in range(COUNT // 5):
            await verifier.verify(token)
        best["verify"] = min(best["verify"], (time.process_time_ns() - began) / (COUNT / 5))
        began = time.process_time_ns()
        for _ in range(COUNT // 5):
            verifier.verify_local(token)
        best["verify_local"] = min(
            best["verify_local"], (time.process_time_ns() - began) / (COUNT / 5)
        )
        began = time.process_time_ns()
        for _ in range(200):
            local.cache.clear()
            verifier.verify_local(token)
        best["first check"] = min(best["first check"], (time.process_time_ns() - began) / 200)
    for name, nanoseconds in best.items():
        print(f"{name}: {nanoseconds:,.0f} ns")
    return 0 if best["verify"] < LIMIT_NS else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
