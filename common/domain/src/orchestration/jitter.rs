//! Random delays, spread so that those who wait don't all come back at once.

use uuid::Uuid;

/// How far, relative to the average, a delay is spread when nothing else is said.
pub const DEFAULT_CLAMPING_FACTOR: f64 = 0.3;

/// Returns a delay in seconds, drawn from an exponential distribution that is cut off at both ends.
///
/// The delay is at most `average_seconds * (1 + clamping_factor)`; the lower end is placed so that the
/// average stays about where it is. It is drawn by `seed`, and so the same for the same seed. Follows
/// Prefect's `clamped_poisson_interval`; an average or a factor of zero or less gives the average itself,
/// or zero if that is negative.
pub fn clamped_poisson_interval(average_seconds: f64, clamping_factor: f64, seed: Uuid) -> f64 {
    if average_seconds <= 0.0 || clamping_factor <= 0.0 {
        return average_seconds.max(0.0);
    }
    let cumulative = |multiple: f64| 1.0 - (-multiple).exp();
    let upper_multiple = 1.0 + clamping_factor;
    let (lower, upper) = (cumulative(lower_multiple(upper_multiple)), cumulative(upper_multiple));
    let drawn = lower + unit_interval(seed) * (upper - lower);
    -(1.0 - drawn).max(1e-10).ln() * average_seconds
}

/// Returns the multiple of the average below which as much probability is cut off, seen from the median,
/// as above the multiple `upper`.
fn lower_multiple(upper: f64) -> f64 {
    if upper >= 50.0 {
        return 0.0;
    }
    let power = upper.exp2();
    (power / (power - 1.0)).max(1e-10).log2()
}

/// Returns a number from 0 (included) to 1 (excluded) that is evenly distributed over the seeds.
#[allow(clippy::cast_precision_loss, reason = "53 bits fit into an f64")]
fn unit_interval(seed: Uuid) -> f64 {
    let (_, low) = Uuid::new_v5(&seed, b"jitter").as_u64_pair();
    // The two topmost bits are the UUID's variant.
    ((low << 2) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(average: f64, factor: f64) -> Vec<f64> {
        (0..2_000_u128).map(|seed| clamped_poisson_interval(average, factor, Uuid::from_u128(seed))).collect()
    }

    #[test]
    fn stays_between_its_ends() {
        for delay in draws(10.0, 0.3) {
            assert!((0.0..=13.0 + 1e-9).contains(&delay), "{delay}");
        }
    }

    #[test]
    fn keeps_about_the_average_and_spreads() {
        let draws = draws(10.0, 0.3);
        #[allow(clippy::cast_precision_loss)]
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((8.0..12.0).contains(&mean), "{mean}");
        assert!(draws.iter().any(|delay| *delay < 9.0) && draws.iter().any(|delay| *delay > 12.0));
    }

    #[test]
    fn draws_the_same_for_the_same_seed() {
        assert_eq!(
            clamped_poisson_interval(10.0, 0.3, Uuid::from_u128(1)).to_bits(),
            clamped_poisson_interval(10.0, 0.3, Uuid::from_u128(1)).to_bits()
        );
    }

    #[test]
    fn does_not_spread_nothing() {
        assert!(clamped_poisson_interval(0.0, 0.3, Uuid::nil()).abs() < f64::EPSILON);
        assert!(clamped_poisson_interval(-1.0, 0.3, Uuid::nil()).abs() < f64::EPSILON);
    }

    #[test]
    fn survives_a_huge_factor() {
        assert!(clamped_poisson_interval(1.0, 1e300, Uuid::nil()).is_finite());
    }
}
