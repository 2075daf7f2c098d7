#!/usr/bin/env bash
# Checks and tests the client. Needs Go 1.19 or later and python3; USER_SERVER and USER_CLI name the
# executables, by default those of target/debug. GO is the command of Go.
set -euo pipefail
cd "$(dirname "$0")"

REPOSITORY=$(cd ../.. && pwd)
USER_SERVER=$(realpath "${USER_SERVER:-$REPOSITORY/target/debug/user-server}")
USER_CLI=$(realpath "${USER_CLI:-$REPOSITORY/target/debug/user-cli}")
export USER_SERVER USER_CLI
# No module is downloaded, and no other version of Go.
export GOPROXY=off GOTOOLCHAIN=local GOFLAGS=-mod=readonly

GO=${GO:-go}
for tool in "$GO" python3; do
    if ! command -v "$tool" >/dev/null; then
        echo "left out: the Go client ($tool is missing)"
        exit 0
    fi
done
export GO

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

unformatted=$("$(dirname "$(command -v "$GO")")/gofmt" -l . 2>/dev/null || gofmt -l .)
if [ -n "$unformatted" ]; then
    echo "not formatted with gofmt: $unformatted"
    exit 1
fi
# Everything with the race detector, or nothing, so that the standard library is compiled once.
if [ "$("$GO" env CGO_ENABLED)" = 1 ] && command -v "$("$GO" env CC)" >/dev/null; then
    GOFLAGS+=" -race"
else
    echo "left out: the race detector (a C compiler is missing)"
fi
"$GO" build ./...
"$GO" vet ./...

# Most tests wait for servers, so more of them run at a time than there are processors.
if ! "$GO" test -count=1 -timeout 180s -parallel 6 -v ./... >"$folder/log" 2>&1; then
    grep -vE '^=== (RUN|PAUSE|CONT)|^ *--- PASS' "$folder/log"
    exit 1
fi
grep -oE 'left out: .*' "$folder/log" || true
# Without the seeds of the fuzz tests.
passed=$(grep -cE '^ *--- PASS: Test' "$folder/log")
echo "go: $passed passed"
