#!/usr/bin/env bash
# Checks the files of packaging that are not run: the syntax of all YAML and shell scripts, the
# Kubernetes objects with kubernetes-validate, and the compose file with the JSON schema of the Compose
# specification, which the package docker-compose carries. Installs what is missing from PyPI in
# target/packaging; with --install, nothing else.
set -euo pipefail
CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

tools=target/packaging/bin
[ -f target/packaging/installed ] || {
    python3 -m venv target/packaging
    $tools/pip --quiet install 'kubernetes-validate==1.*' 'jsonschema==4.*' 'yamllint==1.*'
    $tools/pip --quiet install --no-deps 'docker-compose==1.29.2'
    touch target/packaging/installed
}
[ "${1:-}" = --install ] && exit 0
$tools/yamllint -c packaging/.yamllint packaging/compose packaging/kubernetes packaging/prometheus
$tools/kubernetes-validate --strict packaging/kubernetes/*.yaml
$tools/python - packaging/compose/compose.yaml <<'PROGRAM'
import glob, json, sys
import jsonschema, yaml

(schema,) = glob.glob(sys.prefix + "/lib/python3*/site-packages/compose/config/compose_spec.json")
with open(schema) as schema, open(sys.argv[1]) as file:
    jsonschema.validate(yaml.safe_load(file), json.load(schema))
PROGRAM
if command -v shellcheck >/dev/null; then
    shellcheck --severity=warning packaging/*.sh packaging/*/*.sh packaging/compose/prepare \
        examples/nginx/{start,stop,newest-code} release.sh test.sh
else
    echo 'check.sh: left out: shellcheck is not installed'
fi
echo 'check.sh: passed'
