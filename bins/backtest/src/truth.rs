//! `truth`: judges the models of queue and delay by real orders.

use std::io::Write;

use anyhow::Context;
use polydesk_replay::truth::{
    Made, Model, RealOrder, Score, predict, read_orders, score, spread_orders, with_fate,
};
use polydesk_settings::{Layer, Settings};
use polydesk_sim::{Delay, QueueModel};
use serde::Serialize;

use crate::cli::TruthArgs;
use crate::failure::{Done, Failure};
use crate::replaying::open;

/// Every queue model is judged.
const QUEUES: [QueueModel; 4] = [
    QueueModel::Pessimistic,
    QueueModel::Proportional,
    QueueModel::Power { exponent: 2 },
    QueueModel::Power { exponent: 3 },
];

/// A model with its score.
#[derive(Debug, Serialize)]
struct Judged {
    queue: QueueModel,
    delay_ms: i64,
    sum: u64,
    score: Score,
}

/// Judges, or makes an example.
pub fn truth(args: &TruthArgs) -> Done {
    let settings = settings(args)?;
    if let Some(count) = args.make {
        return make(args, &settings, count);
    }
    let path = args.orders.clone().unwrap_or_default();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let orders = read_orders(&text).map_err(|problem| {
        Failure::Data(anyhow::anyhow!(
            "{}: {problem}; the format is in docs/truth.md",
            path.display()
        ))
    })?;
    if orders.is_empty() {
        return Err(Failure::Data(anyhow::anyhow!("{} holds no order", path.display())));
    }
    let mut judged = Vec::new();
    for queue in QUEUES {
        for delay in &args.delays {
            let model = Model { queue, delay: *delay };
            let mut reader = open(&args.tapes, !judged.is_empty())?;
            let predicted = predict(&mut reader, &orders, &settings.exchange, model)
                .map_err(|error| Failure::Data(error.into()))?;
            let score = score(&orders, &predicted);
            let (delay_ms, sum) = (delay.as_millis(), score.sum());
            judged.push(Judged { queue, delay_ms, sum, score });
        }
    }
    judged.sort_by_key(|judged| judged.sum);
    if args.json {
        println!("{}", serde_json::to_string(&judged).map_err(anyhow::Error::from)?);
        return Ok(());
    }
    print(&orders, &judged)
}

fn print(orders: &[RealOrder], judged: &[Judged]) -> Done {
    let mut out = std::io::stdout().lock();
    let filled = orders.iter().filter(|order| order.first_fill.is_some()).count();
    let left = judged.first().map_or(0, |judged| judged.score.not_judged);
    writeln!(out, "{} orders, {filled} of them filled", orders.len())?;
    if left > 0 {
        writeln!(
            out,
            "{left} are not judged: the tape does not know their token, or begins later or ends earlier"
        )?;
    }
    writeln!(
        out,
        "{:<14} {:>8} {:>6} {:>6} {:>6} {:>8} {:>12} {:>10} {:>8}",
        "queue",
        "delay ms",
        "both",
        "model",
        "truth",
        "neither",
        "shares off %",
        "time off s",
        "score"
    )?;
    for Judged { queue, delay_ms, sum, score } in judged {
        let orders = score.both + score.model_only + score.truth_only + score.neither;
        let mean = |total: u64| total.checked_div(orders).unwrap_or_default();
        let (percent, secs) = (mean(score.shares_error * 10), mean(score.time_error * 60));
        writeln!(
            out,
            "{:<14} {delay_ms:>8} {:>6} {:>6} {:>6} {:>8} {:>9}.{:02} {:>6}.{:03} {sum:>8}",
            String::from(*queue),
            score.both,
            score.model_only,
            score.truth_only,
            score.neither,
            percent / 100,
            percent % 100,
            secs / 1_000,
            secs % 1_000
        )?;
    }
    writeln!(
        out,
        "both, model, truth, neither: who says that the order was filled; the smallest score is the best model"
    )?;
    Ok(())
}

/// Prints made orders with the fate that the exchange as set gives them.
fn make(args: &TruthArgs, settings: &Settings, count: u64) -> Done {
    let reader = open(&args.tapes, true)?;
    let rows = reader.tapes().map(|(manifest, _)| manifest.rows).sum();
    drop(reader);
    let made = Made { orders: count, rows, seed: settings.run.seed };
    let data = |error: polydesk_replay::truth::TruthError| Failure::Data(error.into());
    let orders = spread_orders(&mut open(&args.tapes, false)?, made).map_err(data)?;
    let delay = match settings.exchange.latency.insert {
        Delay::Constant(span) | Delay::Sampled { median: span, .. } => span,
    };
    let model = Model { queue: settings.exchange.queue, delay };
    let predicted = predict(&mut open(&args.tapes, true)?, &orders, &settings.exchange, model);
    let predicted = predicted.map_err(data)?;
    let mut out = std::io::stdout().lock();
    for order in with_fate(orders, &predicted) {
        writeln!(out, "{}", serde_json::to_string(&order).map_err(anyhow::Error::from)?)?;
    }
    Ok(())
}

fn settings(args: &TruthArgs) -> Done<Settings> {
    let mut layers = Vec::new();
    for path in &args.configs {
        layers.push(Layer::file(path).map_err(|problem| Failure::Config(vec![problem]))?);
    }
    let (environment, odd) = Layer::env_os(std::env::vars_os());
    if !odd.is_empty() {
        return Err(Failure::Config(odd));
    }
    layers.push(environment);
    Settings::load(&layers).map_err(Failure::Config)
}
