#!/usr/bin/env bash
# Installs what the tests use into target/clients-python of the repository, from PyPI.
set -euo pipefail
cd "$(dirname "$0")"
tools=../../target/clients-python
if [[ ! -x $tools/bin/python ]]; then
    "${PYTHON:-python3}" -m venv "$tools"
fi
if ! cmp -s requirements-dev.txt "$tools/installed"; then
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
    # The packages that the test of the wheel installs into a fresh environment.
    "$tools/bin/python" -m pip download --quiet --disable-pip-version-check \
        --dest "$tools/wheels" cryptography==50.0.2
    cp requirements-dev.txt "$tools/installed"
fi
