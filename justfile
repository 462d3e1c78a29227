# Each recipe is one cargo line; `just` is never needed.

# Replay the bundled recordings and report.
backtest *ARGS:
    cargo run --release --bin backtest -- {{ARGS}}

# Paper trading on live data; `just paper --feed local --for 60s` is offline.
paper *ARGS:
    cargo run --release --bin paper -- {{ARGS}}

# Live trading: real money. `just live --config my.toml --check` first.
live *ARGS:
    cargo run --release --bin live -- {{ARGS}}

# The operator's tool.
desk *ARGS:
    cargo run --release --bin desk -- {{ARGS}}

# All tests.
test:
    cargo test --workspace

# What CI checks.
check:
    cargo xtask check

# Speed.
bench:
    cargo bench -p backtest
