//! The same run under other seeds and other settings of the exchange: every headline figure is a range.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use polydesk_domain::{Span, Usdc};
use polydesk_replay::EventLog;
use polydesk_replay::facts::{self, Draws};
use polydesk_report::{Band, Spread};
use polydesk_settings::Settings;
use polydesk_sim::{Delay, QueueModel, Refill, SimConfig, SnapshotTakers};

use crate::failure::{Done, Failure};
use crate::replaying::{Input, replay_once};

/// Percent that every delay is scaled by for the sensitivity to latency.
const LATENCIES: [i64; 3] = [50, 200, 500];

/// What one seed came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
    net: Usdc,
    fills: u64,
    round_trips: u64,
    fees: Usdc,
}

/// Settings to be run under every seed.
struct Setting {
    name: String,
    words: String,
    config: SimConfig,
}

/// How many seeds a stream of so many rows gets: a rule on rows, never on the clock, so that every machine gives
/// the same report.
pub fn seeds(settings: &Settings, rows: u64) -> u64 {
    let most = settings.run.seeds_most_rows / rows.max(1);
    u64::from(settings.run.seeds).min(most).max(1)
}

/// Runs every seed under the exchange as set, and where asked for under the other settings.
pub fn draws(tapes: &[PathBuf], settings: &Settings, seeds: u64, threads: u16) -> Done<Draws> {
    let own = settings.exchange;
    let setting = |name: &str, words: &str, config| Setting {
        name: name.to_owned(),
        words: words.to_owned(),
        config,
    };
    let mut all = vec![setting("as set", "the settings of this run", own)];
    if settings.run.bands {
        all.push(setting("slower exchange", SLOWER, slower(own)));
        all.push(setting("faster exchange", FASTER, faster(own)));
        all.extend(LATENCIES.map(|percent| {
            let name = format!("latency x {}", factor(percent));
            setting(&name, "every delay scaled, nothing else", with_delays(own, percent))
        }));
    }
    let first = settings.run.seed;
    let cases: Vec<(&Setting, u64)> =
        all.iter().flat_map(|of| (0..seeds).map(move |i| (of, first.wrapping_add(i)))).collect();
    let results = run_all(tapes, settings, &cases, threads)?;
    let per_setting = usize::try_from(seeds).unwrap_or(1);
    let mut bands: Vec<Band> = all
        .iter()
        .zip(results.chunks(per_setting))
        .map(|(setting, draws)| band(setting, draws))
        .collect();
    let median = median_seed(&results[..per_setting.min(results.len())]).unwrap_or(first);
    let latency = bands.split_off(bands.len().min(3));
    let as_set = bands[0].clone();
    if bands.len() > 1 {
        bands.swap(0, 1);
    } else {
        bands.clear();
    }
    Ok(Draws { as_set, bands, latency, median })
}

/// Runs the cases on so many threads; each is alone in its thread, and the results stand in the order of the cases.
fn run_all(
    tapes: &[PathBuf],
    settings: &Settings,
    cases: &[(&Setting, u64)],
    threads: u16,
) -> Done<Vec<Draw>> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((setting, seed)) = cases.get(index) else { return };
            // The first one verifies the tapes for all.
            let input = Input { tapes, seed: *seed, verified: index > 0 };
            let result = replay_once(&input, settings, &setting.config, EventLog::off(), None);
            let draw = result.map(|done| {
                let facts =
                    facts::outcome(&done.recording, &done.engine, done.sim.config().starting_cash);
                let round_trips = done.recording.closed.len() as u64;
                Draw {
                    seed: *seed,
                    net: facts.net,
                    fills: facts.fills,
                    round_trips,
                    fees: facts.fees,
                }
            });
            let failed = draw.is_err();
            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((index, draw));
            if failed {
                next.store(cases.len(), Ordering::Relaxed);
            }
        }
    };
    let panicked = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        work();
        others.into_iter().map(|thread| thread.join()).filter(Result::is_err).count()
    });
    if panicked > 0 {
        return Err(Failure::Failed(anyhow::anyhow!("a run under another seed panicked")));
    }
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, draw)| draw).collect()
}

fn band(setting: &Setting, draws: &[Draw]) -> Band {
    let spread = |of: fn(&Draw) -> i64| Spread::of(draws.iter().map(of).collect());
    let count = |of: fn(&Draw) -> u64| {
        let spread = Spread::of(draws.iter().map(|draw| of(draw) as i64).collect());
        spread.map(|count| count.max(0) as u64)
    };
    Band {
        name: setting.name.clone(),
        settings: setting.words.clone(),
        seeds: draws.len() as u64,
        net: spread(|draw| draw.net.micros()).map(Usdc::new),
        fills: count(|draw| draw.fills),
        round_trips: count(|draw| draw.round_trips),
        fees: spread(|draw| draw.fees.micros()).map(Usdc::new),
    }
}

/// The seed in the middle by net, of equal ones the smaller; of an even number the lower of the two.
fn median_seed(draws: &[Draw]) -> Option<u64> {
    let mut by_net: Vec<(Usdc, u64)> = draws.iter().map(|draw| (draw.net, draw.seed)).collect();
    by_net.sort();
    by_net.get(by_net.len().checked_sub(1)? / 2).map(|(_, seed)| *seed)
}

fn factor(percent: i64) -> String {
    match percent % 100 {
        0 => (percent / 100).to_string(),
        rest => format!("{}.{}", percent / 100, format!("{rest:02}").trim_end_matches('0')),
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

/// Its settings are never kinder than the run's own.
const SLOWER: &str = "delays x 2, queue pessimistic, what we took never comes back, takers find 70 % of each level and the \
     worse of two snapshots, 10 % of settlements fail and 20 % more of those that would have won, 5 % of orders are lost";

fn slower(config: SimConfig) -> SimConfig {
    let mut config = with_delays(config, 200);
    config.queue = QueueModel::Pessimistic;
    let (matching, settlement) = (&mut config.matching, &mut config.settlement);
    matching.refill = Refill::Never;
    matching.snapshot_takers = SnapshotTakers::Worse;
    matching.depth_percent = matching.depth_percent.min(70);
    settlement.fail_ppm = settlement.fail_ppm.max(100_000);
    settlement.winner_fail_ppm = settlement.winner_fail_ppm.max(200_000);
    config.faults.lose_order_ppm = config.faults.lose_order_ppm.max(50_000);
    config
}

/// Its settings are never harder than the run's own.
const FASTER: &str = "delays x 0.5, queue power 3 or more, what we took is there again after 10 s at most, every settlement \
     succeeds, nothing is lost";

fn faster(config: SimConfig) -> SimConfig {
    let mut config = with_delays(config, 50);
    config.queue = match config.queue {
        QueueModel::Power { exponent } => QueueModel::Power { exponent: exponent.max(3) },
        QueueModel::Pessimistic | QueueModel::Proportional => QueueModel::Power { exponent: 3 },
    };
    config.matching.refill = match config.matching.refill {
        Refill::After(span) => Refill::After(span.min(Span::secs(10))),
        Refill::Never | Refill::AsShown => Refill::After(Span::secs(10)),
    };
    config.matching.snapshot_takers = SnapshotTakers::Last;
    config.matching.depth_percent = 100;
    config.settlement.fail_ppm = 0;
    config.settlement.winner_fail_ppm = 0;
    config.settlement.retry_ppm = 0;
    let faults = &mut config.faults;
    for lost in [
        &mut faults.lose_order_ppm,
        &mut faults.lose_answer_ppm,
        &mut faults.lose_cancel_ppm,
        &mut faults.lose_cancel_answer_ppm,
        &mut faults.lose_fill_ppm,
        &mut faults.lose_end_ppm,
        &mut faults.lose_settlement_ppm,
        &mut faults.lose_conversion_ppm,
    ] {
        *lost = 0;
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, net: i64) -> Draw {
        Draw { seed, net: Usdc::whole(net), fills: 0, round_trips: 0, fees: Usdc::ZERO }
    }

    #[test]
    fn the_details_are_of_the_seed_in_the_middle() {
        for (nets, want) in [
            (&[][..], None),
            (&[5][..], Some(0)),
            (&[3, -8, 1], Some(2)),
            (&[3, -8, 1, 2], Some(2)),
            (&[1, 1, 1], Some(1)),
        ] {
            let draws: Vec<Draw> =
                nets.iter().enumerate().map(|(seed, net)| draw(seed as u64, *net)).collect();
            assert_eq!(median_seed(&draws), want, "{nets:?}");
        }
    }

    /// Every setting that decides how kind an exchange is, the kinder the larger.
    fn kindness(config: &SimConfig) -> Vec<i64> {
        let (matching, settlement, faults) = (&config.matching, &config.settlement, &config.faults);
        let refill = match matching.refill {
            Refill::Never => i64::MIN,
            Refill::AsShown => i64::MIN + 1,
            Refill::After(span) => -span.as_nanos(),
        };
        let queue = match config.queue {
            QueueModel::Pessimistic => 0,
            QueueModel::Proportional => 1,
            QueueModel::Power { exponent } => i64::from(exponent),
        };
        let ppm = [
            settlement.stall_ppm,
            settlement.retry_ppm,
            settlement.fail_ppm,
            settlement.winner_fail_ppm,
            faults.lose_order_ppm,
            faults.lose_answer_ppm,
            faults.lose_cancel_ppm,
            faults.lose_cancel_answer_ppm,
            faults.lose_fill_ppm,
            faults.lose_end_ppm,
            faults.lose_settlement_ppm,
            faults.lose_conversion_ppm,
        ];
        let snapshot = i64::from(matching.snapshot_takers == SnapshotTakers::Last);
        let mut all = vec![refill, queue, snapshot, i64::from(matching.depth_percent)];
        all.extend(ppm.map(|ppm| -i64::from(ppm)));
        all
    }

    #[test]
    fn a_slower_exchange_is_never_kinder_and_a_faster_one_never_harder() {
        let queue = QueueModel::Power { exponent: 8 };
        let mut kind = SimConfig { queue, ..SimConfig::default() };
        kind.matching.refill = Refill::After(Span::secs(1));
        kind.settlement.fail_ppm = 0;
        let queue = QueueModel::Pessimistic;
        let mut hard = SimConfig { queue, ..SimConfig::default() };
        hard.matching.refill = Refill::Never;
        hard.matching.snapshot_takers = SnapshotTakers::Worse;
        hard.matching.depth_percent = 1;
        hard.settlement.fail_ppm = 500_000;
        hard.settlement.winner_fail_ppm = 500_000;
        hard.faults.lose_order_ppm = 900_000;
        hard.faults.lose_answer_ppm = 10;
        hard.faults.lose_fill_ppm = 10;
        for own in [SimConfig::default(), kind, hard] {
            let [slow, as_set, fast] = [slower(own), own, faster(own)].map(|of| kindness(&of));
            for (place, of) in as_set.iter().enumerate() {
                assert!(slow[place] <= *of && *of <= fast[place], "{place} of {own:?}");
            }
            let fast = faster(own);
            let lost = [
                fast.faults.lose_order_ppm,
                fast.faults.lose_answer_ppm,
                fast.faults.lose_cancel_ppm,
                fast.faults.lose_fill_ppm,
                fast.faults.lose_settlement_ppm,
            ];
            assert_eq!(lost, [0; 5], "nothing is lost");
        }
    }

    #[test]
    fn delays_are_scaled_exactly_and_never_beyond_a_week() {
        let own = SimConfig::default();
        let delay = Delay::Sampled { median: Span::millis(3), p99: Span::nanos(7) };
        let half = Delay::Sampled { median: Span::nanos(1_500_000), p99: Span::nanos(3) };
        assert_eq!(scaled(delay, 50), half);
        assert_eq!(scaled(Delay::Constant(Span::ZERO), 500), Delay::Constant(Span::ZERO));
        let week = Span::secs(604_800);
        assert_eq!(scaled(Delay::Constant(Span::secs(500_000)), 200), Delay::Constant(week));
        let scaled_all = with_delays(own, 200).latency;
        for (one, other) in [
            (scaled_all.feed, own.latency.feed),
            (scaled_all.insert, own.latency.insert),
            (scaled_all.cancel, own.latency.cancel),
            (scaled_all.answer, own.latency.answer),
        ] {
            assert_eq!(one, scaled(other, 200));
        }
        assert_eq!(with_delays(own, 100), own);
    }

    #[test]
    fn many_rows_lower_the_seeds_and_never_below_one() {
        let mut settings = Settings::load(&[]).unwrap();
        (settings.run.seeds, settings.run.seeds_most_rows) = (9, 1_000);
        for (rows, want) in
            [(0, 9), (1, 9), (111, 9), (112, 8), (500, 2), (501, 1), (1_000, 1), (u64::MAX, 1)]
        {
            assert_eq!(seeds(&settings, rows), want, "{rows}");
        }
        settings.run.seeds = 0;
        assert_eq!(seeds(&settings, 0), 1);
    }

    #[test]
    fn bands_stand_from_the_slower_to_the_faster_and_every_seed_is_its_own() {
        let place = tempfile::tempdir().unwrap();
        let tape = place.path().join("tape");
        polydesk_tape::synthetic::Speed { tokens: 4, rows: 200, seed: 1 }.write(&tape).unwrap();
        let mut settings = Settings::load(&[]).unwrap();
        settings.run.seed = u64::MAX;
        let tapes = [tape];
        let names = |bands: &[Band]| -> Vec<String> {
            bands.iter().map(|band| format!("{} {}", band.name, band.seeds)).collect()
        };
        for bands in [true, false] {
            settings.run.bands = bands;
            let all = draws(&tapes, &settings, 2, 2).unwrap();
            assert_eq!(names(std::slice::from_ref(&all.as_set)), ["as set 2"]);
            let (shown, latency) = (names(&all.bands), names(&all.latency));
            if bands {
                assert_eq!(shown, ["slower exchange 2", "as set 2", "faster exchange 2"]);
                assert_eq!(latency, ["latency x 0.5 2", "latency x 2 2", "latency x 5 2"]);
            } else {
                assert!(shown.is_empty() && latency.is_empty(), "{shown:?} {latency:?}");
            }
            // After the largest seed comes zero; nothing is bought, so the smaller one is the lower.
            assert_eq!(all.median, 0);
        }
    }

    #[test]
    fn factors_are_shown_without_noise() {
        let shown: Vec<String> = [50, 200, 500, 125, 5].map(factor).to_vec();
        assert_eq!(shown, ["0.5", "2", "5", "1.25", "0.05"]);
    }
}
