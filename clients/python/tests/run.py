#!/usr/bin/env python3
"""Runs test modules: run.py MODULE... Prints what is left out, and the number of tests passed."""

from __future__ import annotations

import logging
import sys
import unittest


def main() -> int:
    # Not on the standard error of a run without a failure.
    logging.getLogger("user_service").addHandler(logging.NullHandler())
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    result = unittest.TextTestRunner(verbosity=1, stream=sys.stderr).run(suite)
    for test, reason in result.skipped:
        print(f"left out: {test.id()} ({reason})")
    failed = len(result.failures) + len(result.errors)
    print(f"passed: {result.testsRun - failed - len(result.skipped)}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
