//! Makes a long series short and keeps its extremes.

/// At most about `2 × buckets` points that keep the lowest and highest value of every stretch of x.
///
/// Points come in order of x.
pub(crate) fn thin(points: &[(i64, f64)], buckets: usize) -> Vec<(i64, f64)> {
    let buckets = buckets.max(1);
    if points.len() <= 2 * buckets {
        return points.to_vec();
    }
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let step = (last as f64 - first as f64) / buckets as f64;
    let bucket = |x: i64| if step > 0.0 { ((x as f64 - first as f64) / step) as usize } else { 0 };
    let mut out = vec![points[0]];
    for stretch in points.chunk_by(|a, b| bucket(a.0) == bucket(b.0)) {
        let (mut low, mut high) = (0, 0);
        for (i, point) in stretch.iter().enumerate() {
            if point.1 < stretch[low].1 {
                low = i;
            }
            if point.1 > stretch[high].1 {
                high = i;
            }
        }
        out.push(stretch[low.min(high)]);
        if low != high {
            out.push(stretch[low.max(high)]);
        }
    }
    out.push(points[points.len() - 1]);
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_extremes_and_ends() {
        let mut points: Vec<(i64, f64)> = (0..100_000).map(|i| (i, (i % 13) as f64)).collect();
        points[77_777].1 = -500.0;
        points[12_345].1 = 900.0;
        let thin = thin(&points, 300);
        assert!(thin.len() <= 602, "{}", thin.len());
        let ys: Vec<f64> = thin.iter().map(|point| point.1).collect();
        assert!(ys.contains(&-500.0) && ys.contains(&900.0));
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
        assert!(thin.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }
}
