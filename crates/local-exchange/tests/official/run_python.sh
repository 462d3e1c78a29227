#!/usr/bin/env bash
# Drives PyPI py-clob-client-v2 against the local exchange. Says so and ends well where python is missing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../../../.."
version=1.2.1
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "skipped: python3 with venv is not here; the official Python client was not driven"
    exit 0
fi
cargo build -q -p exchange
program="${CARGO_TARGET_DIR:-$PWD/target}/debug/exchange"
env="${POLYDESK_PY_ENV:-${CARGO_TARGET_DIR:-$PWD/target}/official-python}"
if [ ! -x "$env/bin/python" ]; then
    python3 -m venv "$env"
fi
if ! "$env/bin/python" -c 'import py_clob_client_v2' 2>/dev/null; then
    "$env/bin/pip" install -q "py-clob-client-v2==$version"
fi
"$env/bin/python" "$here/py_client.py" "$program"
