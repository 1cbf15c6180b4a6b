//! Clocks of consecutive records: the wall clock may only drift against the monotonic one, unless a record says that it
//! was set.

/// How far the wall clock may move against the monotonic one between two records, nanoseconds, beside [`DRIFT`].
pub(crate) const TOLERANCE: u64 = 2_000_000_000;
/// One part in this many of the time between two records: twice what a clock daemon corrects without a step (500 ppm).
const DRIFT: u64 = 1000;

/// Do two clocks (wall, monotonic; nanoseconds) follow each other, given the step that the second record states?
///
/// # Errors
/// In words, what does not fit.
pub(crate) fn follows(before: (u64, u64), now: (u64, u64), stated: Option<i64>, tolerance: u64) -> Result<(), String> {
    let since = |a: u64, b: u64| i128::from(b) - i128::from(a);
    let (wall, mono) = (since(before.0, now.0), since(before.1, now.1));
    let moved = wall - mono;
    let allowed = i128::from(tolerance) + mono.abs() / i128::from(DRIFT);
    match stated {
        None if moved.abs() > allowed => {
            Err(format!("the wall clock moved by {} s, and no record says that it was set", seconds(moved)))
        }
        Some(step) if (moved - i128::from(step)).abs() > allowed => Err(format!(
            "the wall clock is said to have been set by {} s and moved by {} s",
            seconds(step.into()),
            seconds(moved)
        )),
        _ => Ok(()),
    }
}

/// Does an epoch start after the last record of the one before it, by the wall clock?
///
/// # Errors
/// In words, what does not fit.
pub(crate) fn starts_after(last_wall: u64, now_wall: u64, tolerance: u64) -> Result<(), String> {
    let back = last_wall.saturating_sub(now_wall);
    if back > tolerance {
        return Err(format!("the epoch starts {} s before the one before it ended", seconds(back.into())));
    }
    Ok(())
}

fn seconds(ns: i128) -> String {
    let ms = (ns / 1_000_000).unsigned_abs();
    format!("{}{}.{:03}", if ns < 0 { "-" } else { "+" }, ms / 1000, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn r8_steps_are_told_from_drift() {
        let at = |wall: u64, mono: u64| ((1_000_000 + wall) * S, mono * S);
        let check = |now, stated| follows(at(0, 0), now, stated, TOLERANCE).is_ok();
        assert!(check(at(60, 60), None));
        assert!(check(at(60, 61), None), "smeared");
        assert!(check(at(36_018, 36_000), None), "corrected by 500 ppm for ten hours");
        assert!(!check(at(3660, 60), None) && !check((996_460 * S, 60 * S), None), "an hour forth and back");
        assert!(check(at(3660, 60), Some(3600 * S as i64)));
        assert!(check((996_460 * S, 60 * S), Some(-3600 * S as i64)));
        assert!(!check(at(3660, 60), Some(-3600 * S as i64)));
        assert!(check(at(660, 660), None), "ten minutes of suspension count on both clocks");
        assert!(
            follows((0, 0), (u64::MAX, 0), None, 0).is_err() && follows((u64::MAX, 0), (0, u64::MAX), None, 0).is_err()
        );
        assert!(starts_after(10 * S, 9 * S, TOLERANCE).is_ok() && starts_after(100 * S, 9 * S, TOLERANCE).is_err());
    }
}
