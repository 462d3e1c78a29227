//! Several subjects measured in turns, so that a busy moment of the machine meets all of them.

use std::time::Instant;

use crate::count::allocations;

/// Something that can do the same work again and again.
pub trait Subject {
    /// How the table calls it.
    fn name(&self) -> &str;
    /// Gets ready for a pass; not measured.
    fn prepare(&mut self) {}
    /// One pass; returns a number that depends on all results.
    fn pass(&mut self) -> u64;
    /// Best bid and ask of every token after the last pass, in ten-thousandths.
    fn finals(&self) -> Vec<[u64; 2]> {
        Vec::new()
    }
}

/// What was measured of a subject, for one unit of its work.
pub struct Figure {
    pub name: String,
    /// Nanoseconds in the best pass.
    pub best: f64,
    /// Nanoseconds in the middle pass.
    pub middle: f64,
    /// Allocations, in the last pass.
    pub allocations: f64,
    /// What the last pass returned.
    pub check: u64,
}

/// Measures passes of `units` units each, in turns, for about `seconds` for each subject.
#[expect(clippy::disallowed_methods, reason = "measuring is what this is for")]
pub fn measure(subjects: &mut [Box<dyn Subject>], units: usize, seconds: f64) -> Vec<Figure> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    let mut figures: Vec<(u64, u64)> = vec![(0, 0); subjects.len()];
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < seconds * subjects.len() as f64 || times[0].len() < 5 {
        for (i, subject) in subjects.iter_mut().enumerate() {
            subject.prepare();
            let (counted, start) = (allocations(), Instant::now());
            let check = std::hint::black_box(subject.pass());
            let took = start.elapsed().as_nanos() as f64;
            figures[i] = (allocations() - counted, check);
            times[i].push(took / units as f64);
        }
    }
    let per_unit = |count: u64| count as f64 / units as f64;
    subjects
        .iter()
        .zip(times)
        .zip(figures)
        .map(|((subject, mut times), (counted, check))| {
            times.sort_by(f64::total_cmp);
            Figure {
                name: subject.name().to_owned(),
                best: times[0],
                middle: times[times.len() / 2],
                allocations: per_unit(counted),
                check,
            }
        })
        .collect()
}

/// Prints figures with their ratio to the first one.
pub fn print(title: &str, unit: &str, figures: &[Figure]) {
    println!("\n{title}");
    println!(
        "{:<58} {:>10} {:>10} {:>12} {:>10} {:>7}",
        "",
        format!("ns/{unit}"),
        "middle",
        format!("{unit}s/s"),
        "allocs",
        "ratio"
    );
    let Some(first) = figures.first() else { return };
    for figure in figures {
        println!(
            "{:<58} {:>10.0} {:>10.0} {:>12.0} {:>10.2} {:>7.2}",
            figure.name,
            figure.best,
            figure.middle,
            1e9 / figure.best,
            figure.allocations,
            figure.best / first.best
        );
    }
}
