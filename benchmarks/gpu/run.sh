#!/usr/bin/env bash
# Runs the GPU benchmark from a checkout, installed or not: benchmarks/gpu/run.sh [--dry-run] [--output DIR] …
# PYTHON names the interpreter (python3). WHEELS names a directory of wheels to put beside it for this call, where the
# machine lacks packages and reaches no network.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
python="${PYTHON:-python3}"
if [ -n "${WHEELS:-}" ]; then
  site="$(mktemp -d)"
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --target "$site" \
    "$WHEELS"/*.whl
fi
export PYTHONPATH="$root/src:$root${site:+:$site}${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1
"$python" "$root/benchmarks/gpu/needs.py"
"$python" -m benchmarks.gpu "$@"
