#!/usr/bin/env bash
# Builds the RPM package from the static programs of the release archive that ./release.sh has built:
# dist/user-service-VERSION-1.ARCH.rpm. Checks its files in a folder, if rpm is installed.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
umask 022

cargo generate-rpm --version >/dev/null 2>&1 || cargo install --locked cargo-generate-rpm || {
    echo "build.sh: cannot install cargo-generate-rpm; install it yourself, and add it to the PATH" >&2
    exit 1
}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
archive=$(compgen -G "dist/user-service-$version-*-linux-*.tar.gz" | head -n 1)
[ -n "$archive" ] || {
    echo "build.sh: no release archive in dist; run ./release.sh first" >&2
    exit 1
}
at=target/package-rpm
rm -rf "$at"
mkdir -p "$at/man"
tar -xzf "$archive" -C "$at" --strip-components=1 --wildcards '*/bin/*' '*/man1/*'
mv "$at"/share/man/man1/* "$at/man/"
strip "$at"/bin/*
gzip -9n "$at"/man/*
rpm=dist/user-service-$version-1.$(uname -m).rpm
cargo generate-rpm -p user-server --output "$rpm"

command -v rpm >/dev/null || exit 0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
rpm --root "$root" --install --nodeps --noscripts --nosignature "$rpm"
"$root/usr/bin/user-server" --version
[ "$(stat -c %a "$root/etc/user-service/user-server.env")" = 640 ]
rpm -qp --nosignature --qf '%{name} %{version} %{arch}: %{size} bytes\n' "$rpm"
rpm -qpc --nosignature "$rpm"
