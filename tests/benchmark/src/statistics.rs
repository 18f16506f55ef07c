//! The arithmetic of the report: percentiles, throughput and ratios.

use std::time::Duration;

/// The nearest-rank percentile of a sample.
///
/// Takes latencies sorted in ascending order and a percentage from 0 to 100. Returns none for an empty sample.
pub(crate) fn percentile(sorted: &[Duration], percent: u32) -> Option<Duration> {
    let rank = (sorted.len() * percent.min(100) as usize).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Units of work in a second, none when no time passed.
pub(crate) fn throughput(units: u64, elapsed: Duration) -> Option<f64> {
    let seconds = elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a benchmark never counts to 2^52")]
    let units = units as f64;
    (seconds > 0.0).then(|| units / seconds)
}

/// How many times `subject` is of `oracle`, none when the oracle's throughput is unknown or zero.
pub(crate) fn ratio(subject: Option<f64>, oracle: Option<f64>) -> Option<f64> {
    let (subject, oracle) = (subject?, oracle?);
    (oracle > 0.0).then(|| subject / oracle)
}

/// The arithmetic mean, none for an empty sample.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "samples are a handful of values")]
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred = milliseconds(1..=100);
        assert_eq!(percentile(&hundred, 50), Some(Duration::from_millis(50)));
        assert_eq!(percentile(&hundred, 99), Some(Duration::from_millis(99)));
        assert_eq!(percentile(&hundred, 100), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&hundred, 0), Some(Duration::from_millis(1)));
    }

    #[test]
    fn percentiles_of_small_samples_are_members_of_them() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&milliseconds([7]), 99), Some(Duration::from_millis(7)));
        assert_eq!(percentile(&milliseconds([1, 9]), 50), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&milliseconds([1, 9]), 51), Some(Duration::from_millis(9)));
    }

    #[test]
    fn throughput_is_units_over_seconds() {
        assert_eq!(throughput(50, Duration::from_millis(2_500)), Some(20.0));
        assert_eq!(throughput(0, Duration::from_secs(5)), Some(0.0));
        assert_eq!(throughput(1, Duration::ZERO), None);
    }

    #[test]
    fn ratio_needs_a_working_oracle() {
        assert_eq!(ratio(Some(810.0), Some(27.0)), Some(30.0));
        assert_eq!(ratio(Some(0.0), Some(27.0)), Some(0.0));
        assert_eq!(ratio(Some(810.0), Some(0.0)), None);
        assert_eq!(ratio(Some(810.0), None), None);
        assert_eq!(ratio(None, Some(27.0)), None);
    }

    #[test]
    fn mean_of_nothing_is_nothing() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[2.0, 4.0, 9.0]), Some(5.0));
    }
}
