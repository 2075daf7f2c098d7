#!/usr/bin/env bash
# Checks the files of packaging that are not run: the syntax of all YAML and shell scripts, the
# Kubernetes objects with kubernetes-validate, and the compose file with podman-compose. Installs what
# is missing from PyPI in target/packaging; with --install, nothing else.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

tools=target/packaging/bin
[ -x $tools/podman-compose ] || {
    python3 -m venv target/packaging
    $tools/pip --quiet install 'kubernetes-validate==1.*' 'podman-compose==1.*' 'yamllint==1.*'
}
[ "${1:-}" = --install ] && exit 0
$tools/yamllint -c packaging/.yamllint packaging/compose packaging/kubernetes packaging/prometheus
$tools/kubernetes-validate --strict packaging/kubernetes/*.yaml
$tools/podman-compose -f packaging/compose/compose.yaml config >/dev/null
if command -v shellcheck >/dev/null; then
    shellcheck --severity=warning packaging/*.sh packaging/*/*.sh packaging/compose/prepare \
        examples/nginx/{start,stop,newest-code} release.sh test.sh
else
    echo 'check.sh: left out: shellcheck is not installed'
fi
echo 'check.sh: passed'
