#!/usr/bin/env bash
# Builds the container image from the release archive that ./release.sh has built:
# dist/user-service-VERSION-oci.tar, which `podman load -i` reads. Needs buildah; no registry and no
# other image. The same archive produces the same image.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
archive=$(compgen -G "dist/user-service-$version-*-linux-*.tar.gz" | head -n 1)
[ -n "$archive" ] || {
    echo "build.sh: no release archive in dist; run ./release.sh first" >&2
    exit 1
}
image=localhost/user-service:$version
time=$(tar -tvf "$archive" --full-time --utc | awk 'NR == 1 { print $4 "T" $5 "Z" }')
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT

mkdir -p "$files"/{usr/bin,data,tmp,licenses}
tar -xzf "$archive" -C "$files" --strip-components=1 --wildcards '*/bin/*' '*/LICENSE-*' '*/BUILD'
for program in user-server user-http user-cli; do
    strip -o "$files/usr/bin/$program" "$files/bin/$program"
done
mv "$files"/LICENSE-* "$files/BUILD" "$files/licenses/"
rm -r "${files:?}/bin"
chmod 700 "$files/data"
chmod 1777 "$files/tmp"
chown -R 0:0 "$files"
chown 65532:65532 "$files/data"

container=$(buildah --isolation chroot from scratch)
buildah copy --quiet "$container" "$files/usr" /usr >/dev/null
buildah copy --quiet "$container" "$files/licenses" /licenses >/dev/null
buildah copy --quiet --chown 65532:65532 --chmod 700 "$container" "$files/data" /data >/dev/null
buildah copy --quiet --chmod 1777 "$container" "$files/tmp" /tmp >/dev/null
buildah config --user 65532:65532 --workingdir /data --volume /data \
    --port 3001 --port 3080 --port 9464 --stop-signal SIGTERM \
    --env LISTEN_ADDR=0.0.0.0 --env DATA_DIR=/data --env METRICS_ADDR=0.0.0.0:9464 \
    --env XDG_STATE_HOME=/data/user-cli --env PATH=/usr/bin \
    --entrypoint '["/usr/bin/user-server"]' --cmd '' \
    --label org.opencontainers.image.title='User service' \
    --label org.opencontainers.image.version="$version" \
    --label org.opencontainers.image.licenses='MIT OR Apache-2.0' \
    "$container"
buildah commit --quiet --rm --timestamp "$(date -d "$time" +%s)" "$container" "$image" >/dev/null
rm -f "dist/user-service-$version-oci.tar"
buildah push --quiet "$image" "oci-archive:dist/user-service-$version-oci.tar:$image"
ls -l "dist/user-service-$version-oci.tar"
