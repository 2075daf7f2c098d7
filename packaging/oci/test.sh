#!/usr/bin/env bash
# Tests the container image dist/*-oci.tar: it refuses to listen in plaintext; with a read-only root,
# as a random user, without capabilities and network, a user registers and logs in, sessions survive a
# restart, and it stops in time. Needs root, podman and runc.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
image=localhost/user-service:$version
name=user-service-test-$$
data=$(mktemp -d)
podman=(podman --runtime runc --cgroup-manager cgroupfs)
# The limits are those that a machine without other rights can set.
options=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none --read-only
    --user 54321:54321 --cap-drop all)
began=$SECONDS

step() {
    echo "$((SECONDS - began)) s: $*"
}
cleanup() {
    "${podman[@]}" rm -f -t 0 "$name" >/dev/null 2>&1 || true
    rm -rf "$data"
}
trap cleanup EXIT
cli() {
    "${podman[@]}" exec -i "$name" /usr/bin/user-cli "$@"
}
start() {
    "${podman[@]}" run -d --name "$name" "${options[@]}" -v "$data:/data" -e ALLOW_PLAINTEXT=1 \
        -e MAX_CONNECTIONS=100 "$image" >/dev/null
    for _ in $(seq 100); do
        "${podman[@]}" exec "$name" /usr/bin/user-server check --ready >/dev/null 2>&1 && return
        sleep 0.1
    done
    "${podman[@]}" logs "$name"
    return 1
}

"${podman[@]}" load -q -i "dist/user-service-$version-oci.tar" >/dev/null
chmod 700 "$data"
chown 54321:54321 "$data"

step 'plaintext is refused'
code=0
output=$("${podman[@]}" run --rm "${options[@]}" -v "$data:/data" "$image" 2>&1) || code=$?
[ "$code" = 64 ]
grep -q ALLOW_PLAINTEXT <<<"$output"

step 'start with a read-only root, as user 54321'
start
step 'register and log in'
echo 'tides rise at nine' | cli register --password-stdin kim kim@example.com >/dev/null
for _ in $(seq 50); do
    ls "$data"/mails/*.eml >/dev/null 2>&1 && break
    sleep 0.1
done
cli verify-email --code "$(grep -h -m 1 '^    ' "$data"/mails/*.eml | tr -cd 0-9)" >/dev/null
echo 'tides rise at nine' | cli login --password-stdin kim >/dev/null
cli verify | head -n 1

step 'stop'
stopping=$SECONDS
"${podman[@]}" stop -t 45 "$name" >/dev/null
[ "$("${podman[@]}" inspect -f '{{.State.ExitCode}}' "$name")" = 0 ]
[ $((SECONDS - stopping)) -lt 20 ]
"${podman[@]}" rm "$name" >/dev/null

step 'sessions survive in another container'
start
cli verify | head -n 1

step 'user-http is in the image too'
"${podman[@]}" run --rm "${options[@]}" --entrypoint /usr/bin/user-http "$image" --version
"${podman[@]}" image inspect -f '{{.Size}} bytes, user {{.Config.User}}' "$image"
step 'all steps passed'
