#!/usr/bin/env bash
# Runs every test: installs what is missing where it may, tests the workspace with its documentation, and says by name
# what was left out. Needs Rust and a C compiler. Ends with one line and a code: 0 where all that ran passed.
set -uo pipefail

# What tests can use beyond Rust: command, or python:module | Debian package | what is left out without it.
NEEDS='
python3 | python3 | the gateway in Python that knows PROTOCOL.md alone
initdb | postgresql | everything on PostgreSQL
pgbouncer | pgbouncer | PostgreSQL behind a pooler
redis-server | redis-server | everything on Redis
redis-cli | redis-tools | everything on Redis
haproxy | haproxy | several nodes behind a balancer
ps | procps | PostgreSQL while it is silent
python:aiosmtpd | python3-aiosmtpd | mails to a real SMTP server
'

main() {
    CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
    log=$(mktemp) || exit 1
    trap 'rm -f "$log"' EXIT
    find_tools
    need_rust
    install_missing
    run_tests
    summary
}

# Rust as rustup puts it, and servers that Debian keeps out of the path.
find_tools() {
    local folder
    for folder in "${CARGO_HOME:-${HOME:-}/.cargo}/bin" /usr/lib/postgresql/*/bin /usr/sbin; do
        [ -d "$folder" ] && PATH=$PATH:$folder
    done
    export PATH
}

need_rust() {
    command -v cargo >/dev/null && return
    echo "test.sh: cargo is missing; install Rust 1.94 or later"
    exit 1
}

# A command that is there and runs, or a module that Python finds, or Debian's Python, which alone sees Debian's modules.
has() {
    case $1 in
        python:*) { python3 -c "import ${1#python:}" || /usr/bin/python3 -c "import ${1#python:}"; } >/dev/null 2>&1 ;;
        python3) python3 -c '' >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# Prints, for each need that is not there: package|what is left out.
missing() {
    local tool package purpose
    while IFS='|' read -r tool package purpose; do
        tool=${tool// /} package=${package// /} purpose=${purpose# }
        [ -z "$tool" ] || has "$tool" || echo "$package|$purpose"
    done <<<"$NEEDS"
}

# As root or where sudo asks for no password; quiet and without questions.
install() {
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null || return 1
    echo "test.sh: installing $*"
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -o Acquire::Retries=2)
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } </dev/null >/dev/null 2>&1
}

install_missing() {
    local packages line
    packages=$(missing | cut -d'|' -f1 | sort -u)
    [ -z "$packages" ] && return
    # One word is one package.
    # shellcheck disable=SC2086
    install $packages || echo "test.sh: can not install here: $(echo $packages)"
    # The tests that go without say so by name themselves.
    while IFS= read -r line; do
        echo "test.sh: ${line%%|*} is missing, so this is left out: ${line#*|}"
    done < <(missing)
}

# Unit tests, integration tests and the examples in the documentation, of every crate, whatever fails before.
run_tests() {
    cargo test --workspace --features user-server/redis-cluster --locked --no-fail-fast </dev/null 2>&1 | tee -a "$log"
    status=${PIPESTATUS[0]}
}

summary() {
    local counts
    counts=$(awk '/^test result: / { passed += $4; failed += $6; ignored += $8 }
        END { printf "%d passed, %d failed, %d ignored", passed, failed, ignored }' "$log")
    echo
    grep -oE '^test .* FAILED$' "$log" | sed 's/^test /failed: /; s/ \.\.\. FAILED$//' | sort -u
    grep -oE '^test .* \.\.\. ignored.*' "$log" | sed 's/^test /ignored: /; s/ \.\.\. ignored,*//' | sort -u
    grep -oE 'left out: .*' "$log" | sort -u
    if [ "$status" = 0 ]; then
        echo "test.sh: PASSED: $counts, in $SECONDS s"
    else
        echo "test.sh: FAILED: $counts, in $SECONDS s (cargo test ended with $status)"
    fi
    exit "$status"
}

main
