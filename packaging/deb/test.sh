#!/usr/bin/env bash
# Tests the package dist/*.deb in a Debian system that systemd boots, without a network: install,
# register and log in, upgrade while it runs, remove, purge. Needs root, debootstrap and
# systemd-nspawn (systemd-container); lintian if it is installed. The system is kept in
# target/package for the next run.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

deb=$(ls -t dist/user-service_*.deb | head -1)
at=$PWD/target/package-test
base=$at/base
tree=$at/tree
mkdir -p "$at"

if command -v lintian >/dev/null; then
    lintian --fail-on error --suppress-tags initial-upload-closes-no-bugs "$deb"
fi

if [ ! -e "$base/complete" ]; then
    rm -rf "$base"
    mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
    debootstrap --variant=minbase --include=systemd-sysv,dbus,procps bookworm "$base" \
        "${mirror:-http://deb.debian.org/debian}" >"$at/debootstrap.log"
    touch "$base/complete"
fi
rm -rf "$tree"
cp -a "$base" "$tree"
cp "$deb" "$tree/root/old.deb"

# The next version: the same files with another number.
rm -rf "$at/next"
dpkg-deb -R "$deb" "$at/next"
sed -i 's/^Version: .*/Version: 9.0.0-1/' "$at/next/DEBIAN/control"
dpkg-deb -b "$at/next" "$tree/root/new.deb" >/dev/null

cp packaging/deb/inside.sh "$tree/root/inside.sh"
cat >"$tree/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
After=multi-user.target dbus.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash /root/inside.sh
StandardOutput=file:/root/output
StandardError=file:/root/output
TimeoutStartSec=300
UNIT
mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
# Not a dependency of the target, which would wait for it.
cat >"$tree/etc/systemd/system/inside.timer" <<'TIMER'
[Timer]
OnBootSec=1
AccuracySec=100ms
TIMER
ln -sf ../inside.timer "$tree/etc/systemd/system/multi-user.target.wants/inside.timer"

timeout 600 systemd-nspawn -q -b --private-network --register=no --keep-unit -D "$tree" \
    --machine=user-service-test --console=pipe >"$at/boot.log" 2>&1 || true
cat "$tree/root/output"
grep -q '^all steps passed$' "$tree/root/output" || {
    echo "test.sh: the package failed; see $at/boot.log" >&2
    exit 1
}
