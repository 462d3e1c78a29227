//! The same run under other exchange settings.

use std::path::PathBuf;

use polydesk_domain::Span;
use polydesk_replay::EventLog;
use polydesk_report::Band;
use polydesk_settings::Settings;
use polydesk_sim::{Delay, QueueModel, SimConfig};

use crate::failure::{Done, Failure};
use crate::replaying::{Replayed, replay_once};
use crate::report;

/// The same run under a pessimistic and an optimistic exchange; the realistic one is the run itself.
///
/// Each re-run is alone in its thread and has its own seed, so their number changes nothing.
pub fn bands(
    tapes: &[PathBuf],
    settings: &Settings,
    done: &Replayed,
    threads: u16,
) -> Done<Vec<Band>> {
    let low = (
        "pessimistic",
        "queue pessimistic, delays x 2, failing settlements x 4",
        pessimistic(settings.exchange),
    );
    let high = (
        "optimistic",
        "queue power 3, delays x 0.5, every settlement succeeds",
        optimistic(settings.exchange),
    );
    let rerun = |(name, words, config): &(&str, &str, SimConfig)| -> Done<Band> {
        let done = replay_once(tapes, settings, config, EventLog::hash_only(), None)?;
        Ok(band(name, words, &done))
    };
    let (low, high) = if threads > 1 {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| rerun(&low));
            let high = rerun(&high);
            let low = other.join();
            (
                low.unwrap_or_else(|_| Err(Failure::Failed(anyhow::anyhow!("a re-run panicked")))),
                high,
            )
        })
    } else {
        (rerun(&low), rerun(&high))
    };
    Ok(vec![low?, band("realistic", "the run itself", done), high?])
}

fn band(name: &str, settings: &str, done: &Replayed) -> Band {
    let facts = report::outcome(done);
    Band {
        name: name.to_owned(),
        settings: settings.to_owned(),
        net: facts.net,
        fills: facts.fills,
        round_trips: done.recording.closed.len() as u64,
        fees: facts.fees,
    }
}

fn scaled(delay: Delay, percent: i64) -> Delay {
    // No delay may be longer than a week.
    let scale = |span: Span| {
        Span::nanos(span.as_nanos().saturating_mul(percent) / 100).min(Span::secs(7 * 86_400))
    };
    match delay {
        Delay::Constant(span) => Delay::Constant(scale(span)),
        Delay::Sampled { median, p99 } => Delay::Sampled { median: scale(median), p99: scale(p99) },
    }
}

fn with_delays(mut config: SimConfig, percent: i64) -> SimConfig {
    let latency = &mut config.latency;
    for delay in [&mut latency.feed, &mut latency.insert, &mut latency.cancel, &mut latency.answer]
    {
        *delay = scaled(*delay, percent);
    }
    config
}

/// Four times as many in a million, up to half of all; never fewer than there were.
fn worse(ppm: u32) -> u32 {
    ppm.saturating_mul(4).min(500_000).max(ppm)
}

fn pessimistic(config: SimConfig) -> SimConfig {
    let mut config = with_delays(config, 200);
    config.queue = QueueModel::Pessimistic;
    let settlement = &mut config.settlement;
    settlement.fail_ppm = worse(settlement.fail_ppm);
    settlement.winner_fail_ppm = worse(settlement.winner_fail_ppm);
    config
}

fn optimistic(config: SimConfig) -> SimConfig {
    let mut config = with_delays(config, 50);
    config.queue = QueueModel::Power { exponent: 3 };
    config.settlement.fail_ppm = 0;
    config.settlement.winner_fail_ppm = 0;
    config.settlement.retry_ppm = 0;
    config
}
