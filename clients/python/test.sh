#!/usr/bin/env bash
# Runs every test of the client. Takes the executables from USER_SERVER and USER_CLI, and Python from
# PYTHON; by default, those that were built, and the one that tools.sh has prepared.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
repository=$(cd ../.. && pwd)
export USER_SERVER=${USER_SERVER:-$repository/target/debug/user-server}
export USER_CLI=${USER_CLI:-$repository/target/debug/user-cli}
USER_SERVER=$(realpath "$USER_SERVER")
USER_CLI=$(realpath "$USER_CLI")
# Bytecode outside the folder: the behaviour cases start Python a hundred times.
export PYTHONPYCACHEPREFIX=$repository/target/clients-python-bytecode
prepared=$repository/target/clients-python/bin/python
if [[ -z ${PYTHON:-} ]]; then
    PYTHON=python3
    if [[ -x $prepared ]]; then PYTHON=$prepared; fi
fi
logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$logs"' EXIT

"$PYTHON" -c 'import sys; assert sys.version_info >= (3, 10), "Python 3.10 or later is required"'
"$PYTHON" generate.py --check

has() { "$PYTHON" -c "import $1" 2>/dev/null; }

lint() {
    "$PYTHON" -m ruff check --quiet --no-cache --config pyproject.toml . ../testbed.py
    "$PYTHON" -m ruff format --quiet --no-cache --config pyproject.toml --check . \
        ../testbed.py
}

types() {
    export MYPYPATH=src:tests MYPY_CACHE_DIR=$repository/target/mypy
    "$PYTHON" -m mypy --strict --no-error-summary src tests generate.py ../testbed.py
}

tests() {
    (cd "$here/tests" && timeout 300 "$PYTHON" run.py "$@")
}

bench() {
    (cd "$here/tests" && "$PYTHON" bench.py)
}

names=() pids=()
# Starts a check in the background: NAME COMMAND [ARGUMENT]...
start() {
    names+=("$1")
    ("${@:2}") >"$logs/$1" 2>&1 &
    pids+=($!)
}

# Waits for every check, and prints the output of those that failed.
finish() {
    local failed=0
    for index in "${!pids[@]}"; do
        wait "${pids[index]}" || { failed=1; cat "$logs/${names[index]}"; }
    done
    names=() pids=()
    if [[ $failed == 1 ]]; then exit 1; fi
}

# At the same time, because most tests wait. The longest first.
start conform tests test_conform
if has cryptography; then
    verifier=test_verifier_live.VerifierLive
    found=$(grep -o 'async def test_[a-z_]*' tests/test_verifier_live.py)
    mapfile -t cases <<<"${found//async def /$verifier.}"
    half=$((${#cases[@]} / 2))
    start verifier-1 tests "${cases[@]:0:half}"
    start verifier-2 tests "${cases[@]:half}"
    start readme tests test_readme
    start live tests test_live test_asgi
    start package tests test_package
    start units tests test_vectors test_units test_wire test_lifetime test_tokens
else
    echo "left out: the verifier of the Python client (cryptography is missing)"
    start live tests test_live
    start units tests test_vectors test_units test_wire test_lifetime
fi
if has ruff; then
    start lint lint
else
    echo "left out: lint of the Python client (ruff is missing)"
fi
if has mypy; then
    start types types
else
    echo "left out: type check of the Python client (mypy is missing)"
fi
finish
# Without the others, because they measure times.
if has cryptography; then
    rolling=test_rolling.RollingRestart.test_of
    start rolling-1 tests "${rolling}_two_nodes_with_two_addresses"
    start rolling-2 tests "${rolling}_two_nodes_that_are_killed" "${rolling}_one_node_with_one_address"
    finish
    bench
fi
grep -h '^left out: ' "$logs"/* || true
echo "python: $(cat "$logs"/* | sed -n 's/^passed: //p' | paste -sd+ | bc) passed"
