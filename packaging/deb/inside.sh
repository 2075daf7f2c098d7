#!/bin/bash
# The steps that packaging/deb/test.sh runs in the booted system.
set -euo pipefail
export LC_ALL=C HOME=/root DEBIAN_FRONTEND=noninteractive
PASSWORD='a sentence of seven words, long enough'
MAILS=/var/lib/user-server/mails
began=$SECONDS

step() {
    echo "$((SECONDS - began)) s: $*"
}

# Waits until a command succeeds.
until_ok() {
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "failed: $*"
    systemctl status --no-pager user-server || true
    return 1
}

# Reports whether a unit has told systemd that it is ready, with nothing degraded.
is_ready() {
    [ "$(systemctl show -p StatusText --value "$1")" = ready ]
}

newest_code() {
    local file
    file=$(ls -t $MAILS/*.eml 2>/dev/null | head -1)
    [ -n "$file" ] && grep -oE '^    [0-9]{6}' "$file" | tr -d ' ' | head -1
}

step install
dpkg -i /root/old.deb
systemctl is-active user-server
until_ok is_ready user-server
[ "$(stat -c '%a %G' /etc/user-service/user-server.env)" = '640 user-service' ]
[ "$(stat -c '%a %U' /var/lib/user-server)" = '700 user-service' ]
! systemctl is-active user-http

step 'register and log in'
echo "$PASSWORD" | user-cli register --password-stdin kim kim@example.org
until_ok newest_code
user-cli verify-email --code "$(newest_code)"
echo "$PASSWORD" | user-cli login --password-stdin kim
user-cli verify
step 'logged in'

step 'a setting and a secret from the credential store'
echo 'MAX_CONNECTIONS=100' >>/etc/user-service/user-server.env
systemctl restart user-server
user-cli verify
systemctl start user-http
until_ok is_ready user-http

step 'upgrade while it runs'
dpkg -i --force-confold /root/new.deb
dpkg-query -W user-service
systemctl is-active user-server user-http
user-cli verify
user-cli refresh
grep -q '^MAX_CONNECTIONS=100$' /etc/user-service/user-server.env

step 'a process that hangs is restarted'
pid=$(systemctl show -p MainPID --value user-server)
kill -STOP "$pid"
for _ in $(seq 450); do
    [ "$(systemctl show -p MainPID --value user-server)" = "$pid" ] || break
    sleep 0.1
done
[ "$(systemctl show -p MainPID --value user-server)" != "$pid" ]
until_ok user-cli verify

step 'a new secret'
head -c 32 /dev/urandom | base64 >/etc/credstore/user-server.JWTSECRETKEY
chmod 600 /etc/credstore/user-server.JWTSECRETKEY
systemctl restart user-server || true
journalctl -u user-server -o cat --no-pager | grep -E '^ +secret ' | tail -1 | grep JWTSECRETKEY
rm /etc/credstore/user-server.JWTSECRETKEY
systemctl restart user-server
until_ok user-cli verify

step 'no privileges'
systemd-analyze security --no-pager user-server user-http | tail -2
grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$(systemctl show -p MainPID --value user-server)/status"

step remove
dpkg -r user-service
! systemctl is-active user-server
[ -e /var/lib/user-server/users.db ] && [ -e /etc/user-service/user-server.env ]

step purge
dpkg -P user-service
[ -e /var/lib/user-server/users.db ] && [ ! -e /etc/user-service/user-server.env ]

step 'install again, and delete everything'
dpkg -i /root/new.deb
until_ok user-cli verify
USER_SERVICE_DELETE_DATA=1 dpkg -P user-service
[ ! -e /var/lib/user-server ]
step 'done'
echo 'all steps passed'
