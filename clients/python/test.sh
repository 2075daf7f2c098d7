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
export PYTHONDONTWRITEBYTECODE=1
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

if has ruff; then
    "$PYTHON" -m ruff check --quiet --no-cache --config pyproject.toml . ../testbed.py
    "$PYTHON" -m ruff format --quiet --no-cache --config pyproject.toml --check . \
        ../testbed.py
else
    echo "left out: lint of the Python client (ruff is missing)"
fi
if has mypy; then
    export MYPYPATH=src:tests MYPY_CACHE_DIR=$repository/target/mypy
    "$PYTHON" -m mypy --strict --no-error-summary src tests generate.py ../testbed.py
else
    echo "left out: type check of the Python client (mypy is missing)"
fi

# Three groups at the same time: most tests wait.
groups=("test_conform" "test_verifier_live" "test_live test_asgi test_readme test_package")
first="test_vectors test_units test_wire test_lifetime"
if has cryptography; then
    first+=" test_tokens"
    last="test_rolling"
else
    echo "left out: the verifier of the Python client (cryptography is missing)"
    groups=("test_conform" "test_live")
    last=""
fi

run() {
    local log=$1
    shift
    (cd "$here/tests" && timeout 300 "$PYTHON" run.py "$@") >"$logs/$log" 2>&1
}

run 0 $first || { cat "$logs/0"; exit 1; }
pids=()
for index in "${!groups[@]}"; do
    run "$((index + 1))" ${groups[index]} &
    pids+=($!)
done
failed=0
for index in "${!pids[@]}"; do
    wait "${pids[index]}" || { failed=1; cat "$logs/$((index + 1))"; }
done
if [[ $failed == 1 ]]; then exit 1; fi
# Alone, because it needs both cores.
if [[ -n $last ]]; then
    run 9 $last || { cat "$logs/9"; exit 1; }
    (cd tests && "$PYTHON" bench.py)
fi
grep -h '^left out: ' "$logs"/* || true
echo "python: $(cat "$logs"/* | sed -n 's/^passed: //p' | paste -sd+ | bc) passed"
