#!/usr/bin/env bash
# What `make fixtures` runs: makes the reference files in tests/fixtures anew, with the pinned
# Python packages of tests/fixtures/requirements.txt (some GB, in build/). PYTHON=… uses your own.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PYTHON=${PYTHON:-}
if [[ -z $PYTHON ]]; then
    PYTHON=$PWD/build/fixtures/bin/python
    if [[ ! -x $PYTHON ]]; then
        step "Python environment" python3 -m venv build/fixtures
    fi
    step "Python packages" "$PYTHON" -m pip install -q -r tests/fixtures/requirements.txt
fi
for script in tests/fixtures/*/generate*.py; do
    step "$script" "$PYTHON" "$script"
done
times
say "git diff tests/fixtures shows what changed"
