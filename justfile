# Each recipe is one cargo line; `just` is never needed.

# Replay the bundled recordings and report.
backtest *ARGS:
    cargo run --release --bin backtest -- {{ARGS}}

# All tests.
test:
    cargo test --workspace

# What CI checks.
check:
    cargo xtask check

# Speed.
bench:
    cargo bench -p backtest
