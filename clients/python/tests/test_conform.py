"""The behaviour of the client, by `user-cli conform`; and mutants, which it has to find."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mutants import FAULTS
from support import REPOSITORY

HERE = Path(__file__).resolve().parent
CLI = os.environ.get("USER_CLI") or str(REPOSITORY / "target" / "debug" / "user-cli")
# Number of runs at the same time: most cases wait.
SHARDS = 2


def conform(*arguments: str, driver: tuple[str, ...]) -> tuple[int, dict[str, Any], str]:
    command = [CLI, "conform", "--format", "json", *arguments, "--", sys.executable, *driver]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=300)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    return done.returncode, report, done.stdout + done.stderr


def setUpModule() -> None:
    if subprocess.run([CLI, "conform", "--help"], capture_output=True).returncode:
        raise unittest.SkipTest("user-cli conform is missing")


class Conformance(unittest.TestCase):
    def test_every_case_passes(self) -> None:
        has_verifier = importlib.util.find_spec("cryptography") is not None
        strict = ("--strict",) if has_verifier else ()
        listed = subprocess.run(
            [CLI, "conform", "--list", "--format", "json"], capture_output=True, text=True
        )
        cases = [json.loads(line)["id"] for line in listed.stdout.splitlines()]
        self.assertGreater(len(cases), 90)
        shards = [cases[start::SHARDS] for start in range(SHARDS)]

        def run(shard: list[str]) -> tuple[int, dict[str, Any], str]:
            selected = [argument for case in shard for argument in ("--case", case)]
            return conform(*strict, *selected, driver=("driver.py",))

        accepted = {"passed"} if has_verifier else {"passed", "skipped"}
        done: dict[str, Any] = {}
        with ThreadPoolExecutor(SHARDS) as pool:
            for _, report, output in pool.map(run, shards):
                self.assertTrue(report, output[-3000:])
                done |= {case["id"]: case for case in report["cases"]}
        self.assertEqual(set(done), set(cases))
        failed = [case for case in cases if done[case]["result"] not in accepted]
        # On a machine that is busy with other tests, a reply may be late. More would be a fault.
        self.assertLessEqual(len(failed), 5, failed)
        for case in failed:
            code, report, output = run([case])
            self.assertEqual(code, 0, output[-3000:])
            self.assertEqual([one["id"] for one in report["cases"]], [case])

    def test_each_mutant_fails_its_case(self) -> None:
        def run(fault: Any) -> tuple[int, str]:
            # An alert that arrives before the request was written reveals nothing.
            for _ in range(5):
                driver = ("mutants.py", fault.__name__)
                code, _, output = conform("--strict", "--case", FAULTS[fault], driver=driver)
                if code:
                    break
            return code, output

        with ThreadPoolExecutor(3) as pool:
            for fault, (code, output) in zip(FAULTS, pool.map(run, FAULTS), strict=True):
                with self.subTest(fault.__name__):
                    self.assertEqual(code, 1, output[-2000:])
                    self.assertIn(FAULTS[fault], output)


if __name__ == "__main__":
    unittest.main()
