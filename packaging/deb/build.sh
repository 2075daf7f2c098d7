#!/usr/bin/env bash
# Builds the Debian package of the programs in target/release, which are built first unless
# --no-build is given: dist/user-service_VERSION_ARCH.deb.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C
umask 022

cargo deb --version >/dev/null 2>&1 || cargo install --locked cargo-deb || {
    echo "build.sh: cannot install cargo-deb; install it yourself and add it to the PATH" >&2
    exit 1
}
[ "${1:-}" = --no-build ] || cargo build --release --locked --features user-server/redis-cluster \
    -p user-server -p user-cli -p user-http

at=target/package
rm -rf "$at"
mkdir -p "$at/bin" "$at/man" "$at"/completions/{bash,zsh,fish}
for program in user-server user-cli user-http; do
    strip -o "$at/bin/$program" "target/release/$program"
    "$at/bin/$program" man "$at/man" >/dev/null
done
for program in user-server user-cli; do
    "$at/bin/$program" completions bash >"$at/completions/bash/$program"
    "$at/bin/$program" completions zsh >"$at/completions/zsh/_$program"
    "$at/bin/$program" completions fish >"$at/completions/fish/$program.fish"
done
gzip -9n "$at"/man/*
mkdir -p dist
cargo deb --quiet --no-build -p user-server --output dist/
