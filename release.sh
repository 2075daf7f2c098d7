#!/usr/bin/env bash
# Builds a release from the last commit, dist/user-service-VERSION-TARGET.tar.gz: the programs, the
# documents, and a list of all crates in each program (SBOM). The programs are linked statically: with
# musl if that target and musl-gcc are installed, otherwise with glibc; the file BUILD says which. The
# same commit, toolchain, target and C library produce the same bytes. ./release.sh --twice builds
# again from scratch in another folder, and compares the results.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
export LC_ALL=C TZ=UTC
umask 022

FEATURES=user-server/redis-cluster
PROGRAMS=(user-server user-cli user-http)
DOCUMENTS=(README.md ARCHITECTURE.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT docs
    examples migrations packaging user-proto/PROTOCOL.md user-proto/vectors)

complain() {
    echo "release: $*" >&2
    exit 1
}

twice=no
case ${1:-} in
    '') ;;
    --twice) twice=yes ;;
    *) complain "unknown option $1; the only option is --twice" ;;
esac

tar --version 2>/dev/null | grep -q GNU || complain "GNU tar is required"
cargo cyclonedx --version >/dev/null 2>&1 || cargo install --locked cargo-cyclonedx ||
    complain "cannot install cargo-cyclonedx; install it yourself and add it to the PATH"
[ -z "$(git status --porcelain)" ] ||
    echo "release: warning: uncommitted changes are not released" >&2

# Both builds use the same commit, even if another one is made meanwhile.
commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
target=$(rustc -vV | sed -n 's/^host: //p')
libc="glibc $(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)"
if [ -d "$sysroot/lib/rustlib/${target%-gnu}-musl" ] && command -v musl-gcc >/dev/null; then
    target=${target%-gnu}-musl libc=musl
fi
name=user-service-$version-$target

# Builds and packs in target/release.$1, and prints the name of the archive.
build() {
    local at=$PWD/target/release.$1 package
    rm -rf "$at"
    mkdir -p "$at/source" "$at/$name/bin" "$at/$name/sbom"
    git archive "$commit" | tar -x -C "$at/source"
    (
        cd "$at/source"
        # Only with --target, these flags do not apply to procedural macros, which cannot be static.
        CARGO_ENCODED_RUSTFLAGS=-Ctarget-feature=+crt-static CFLAGS=${CFLAGS:-}
        # Keeps the build folder and the registry mirror out of the programs. The last rule that
        # matches is applied.
        local sep=$'\x1f' rule rules
        rules=("$cargo_home=/cargo" "$sysroot=/rust" "$at/source=/source" "$at/target=/target")
        for registry in "$cargo_home"/registry/src/*/; do
            rules+=("${registry%/}=/cargo/registry/src/crates")
        done
        for rule in "${rules[@]}"; do
            CARGO_ENCODED_RUSTFLAGS+=$sep--remap-path-prefix=$rule
            CFLAGS+=" -ffile-prefix-map=$rule"
        done
        export CARGO_ENCODED_RUSTFLAGS CFLAGS
        export CARGO_TARGET_DIR=$at/target CARGO_INCREMENTAL=0
        cargo build --release --locked --workspace --bins --target "$target" \
            --features "$FEATURES" >&2
        cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries \
            --target "$target" --features "${FEATURES##*/}" >&2
    )
    local program document
    for program in "${PROGRAMS[@]}"; do
        cp "$at/target/$target/release/$program" "$at/$name/bin/"
        if readelf --program-headers "$at/$name/bin/$program" | grep -q INTERP; then
            complain "$program is not linked statically"
        fi
        sbom "$at/source/$program/${program}_bin.cdx.json" "$at" >"$at/$name/sbom/$program.cdx.json"
    done
    for document in "${DOCUMENTS[@]}"; do
        (cd "$at/source" && cp -R --parents "$document" "$at/$name/")
    done
    "$at/$name/bin/user-cli" man "$at/$name/share/man/man1" >&2
    "$at/$name/bin/user-http" man "$at/$name/share/man/man1" >&2
    "$at/$name/bin/user-server" man "$at/$name/share/man/man1" >&2
    mkdir -p "$at/$name/share/completions"
    for shell in bash fish zsh; do
        "$at/$name/bin/user-cli" completions $shell >"$at/$name/share/completions/user-cli.$shell"
        "$at/$name/bin/user-server" completions $shell \
            >"$at/$name/share/completions/user-server.$shell"
    done
    printf '%s\n' "version  $version" "commit   $commit" "target   $target" \
        "libc     $libc, linked statically" "rustc    $(rustc --version)" \
        "features $FEATURES" >"$at/$name/BUILD"
    for folder in "$at" "$PWD" "$cargo_home"; do
        if grep -rlF -- "$folder/" "$at/$name" >&2; then
            complain "the files above contain $folder, a path of this machine"
        fi
    done
    (cd "$at/$name" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z |
        xargs -0 sha256sum >SHA256SUMS)
    package=$at/$name.tar.gz
    tar -C "$at" --create --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX "$name" | gzip -9n >"$package"
    echo "$package"
}

# Removes from an SBOM the parts that differ between builds: its serial number and the build folder.
sbom() {
    sed -e '/^  "serialNumber":/d' -e "s|$2/source|/source|g" "$1"
}

first=$(build one)
if [ $twice = yes ]; then
    second=$(build two)
    cmp "$first" "$second" || complain "the two builds differ: compare $first and $second"
    echo "release: two builds in two folders produced the same bytes"
fi
mkdir -p dist
cp "$first" dist/
(cd dist && sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256")
