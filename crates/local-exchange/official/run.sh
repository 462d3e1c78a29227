#!/usr/bin/env bash
# Drives the official Rust client against the local exchange.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
cd "$here/../../.."
cargo build -q -p exchange
program="${CARGO_TARGET_DIR:-$PWD/target}/debug/exchange"
cargo run -q --locked --manifest-path "$here/Cargo.toml" -- "$program"
