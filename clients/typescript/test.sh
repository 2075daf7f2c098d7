#!/usr/bin/env bash
# Checks and tests the client. Needs Node 20 or later, npm and python3; USER_SERVER and USER_CLI name
# the executables, by default those of target/debug.
set -euo pipefail
cd "$(dirname "$0")"

REPOSITORY=$(cd ../.. && pwd)
export REPOSITORY
USER_SERVER=$(realpath "${USER_SERVER:-$REPOSITORY/target/debug/user-server}")
USER_CLI=$(realpath "${USER_CLI:-$REPOSITORY/target/debug/user-cli}")
export USER_SERVER USER_CLI
for postgres in /usr/lib/postgresql/*/bin; do
  [[ -d $postgres ]] && PATH=$PATH:$postgres
done

for tool in node npm python3; do
  if ! command -v "$tool" >/dev/null; then
    echo "left out: the TypeScript client ($tool is missing)"
    exit 0
  fi
done

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Installs the dependencies that the lock file of the folder $1 names, unless they are installed.
install() {
  local lock=$1/package-lock.json installed=$1/node_modules/.installed
  if ! cmp -s "$lock" "$installed"; then
    (cd "$1" && npm ci --no-audit --no-fund --silent)
    cp "$lock" "$installed"
  fi
}

# Runs the tests of the files $@. Prints what they measured, and their number as `passed: N`.
run_tests() {
  local log
  log=$(mktemp "$logs/tests.XXXXXX")
  # Most tests wait for most of their time.
  if ! node --test --test-concurrency=4 --test-force-exit --test-timeout=60000 \
    --test-reporter=tap "$@" >"$log" 2>&1; then
    # The tests that failed, and what comes after all.
    awk '/^ *not ok/ { shown = 1 } /^ *ok/ { shown = 0 } /^# tests/ { shown = 1 } shown' "$log"
    return 1
  fi
  grep -oE '# (left out|calls during|conform|verifier:).*' "$log" | sed 's/^# //' || true
  sed -n 's/^# pass /passed: /p' "$log"
}

tests() {
  run_tests .build/*.test.js
}

# Behaviour: `conform` plays a server that answers late, wrongly or not at all.
behaviour() {
  local log=$logs/conform
  "$USER_CLI" conform --strict -- node .build/driver.js >"$log" 2>&1 || {
    grep -v '^ok' "$log"
    return 1
  }
  tail -n 1 "$log" | sed 's/^/conform: /'
  echo "passed: $(grep -c '^ok' "$log")"
}

mutants() {
  node test/mutants.mjs
  echo "passed: 1"
}

# What a user of the package does: the programs of the README, and projects with the package as it
# would be published.
package() {
  node test/readme.mjs
  local package=.build/package
  mkdir -p "$package"
  # Built before, while nothing else used the folder.
  npm pack --silent --ignore-scripts --pack-destination "$package" >/dev/null
  node test/package.mjs "$package"/user-service-client-*.tgz
  # The same test with NestJS 11, and with the packed package.
  mkdir -p .build/nest11
  cp -r .build/nestjs.test.js .build/support .build/nest11
  ln -sfn ../../test/nest11/node_modules .build/nest11/node_modules
  cp test/nest11/package.json .build/nest11
  rm -rf test/nest11/node_modules/user-service-client
  mkdir test/nest11/node_modules/user-service-client
  tar -xzf "$package"/user-service-client-*.tgz --strip-components 1 \
    -C test/nest11/node_modules/user-service-client
  run_tests .build/nest11/nestjs.test.js
  # A project with CommonJS, as those of NestJS 11 usually are.
  (cd .build/nest11 && node --no-warnings --input-type=commonjs -e '
    const { UserServiceClient } = require("user-service-client");
    const { AuthGuard } = require("user-service-client/nestjs");
    if (!UserServiceClient || !AuthGuard) process.exit(1);
  ')
  echo "passed: 3"
}

# Runs these functions at the same time, and prints their output one after another.
run() {
  local name job status=0 jobs=()
  for name in "$@"; do
    (set -e; "$name") >"$logs/$name.out" 2>&1 &
    jobs+=("$!")
  done
  for job in "${jobs[@]}"; do
    wait "$job" || status=1
  done
  for name in "$@"; do
    grep -v '^passed: ' "$logs/$name.out" || true
  done
  return "$status"
}

install .
install test/nest11
node scripts/generate.mjs --check
npm run --silent build
rm -rf .build
node_modules/.bin/tsc -p test

# Without the others, since its cases have times of their own.
run behaviour
run tests mutants package
# Without the others too.
node .build/bench.js

passed=$(sed -n 's/^passed: //p' "$logs"/*.out | awk '{ sum += $1 } END { print sum }')
echo "typescript: $passed passed"
