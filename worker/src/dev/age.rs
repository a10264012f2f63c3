//! Durations in words as short as a table cell. Pure.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// An age as `kubectl get` shows it: the second unit only while it still says something. The steps
/// are those of `HumanDuration` in Kubernetes' `apimachinery/pkg/util/duration`, without years.
pub(super) fn age(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 2 * MINUTE {
        format!("{seconds}s")
    } else if seconds < 10 * MINUTE {
        two(seconds / MINUTE, "m", seconds % MINUTE, "s")
    } else if seconds < 3 * HOUR {
        format!("{}m", seconds / MINUTE)
    } else if seconds < 8 * HOUR {
        two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "m")
    } else if seconds < 2 * DAY {
        format!("{}h", seconds / HOUR)
    } else if seconds < 8 * DAY {
        two(seconds / DAY, "d", seconds % DAY / HOUR, "h")
    } else {
        format!("{}d", seconds / DAY)
    }
}

/// How long something took, to about two digits.
pub(super) fn took(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "<1ms".to_owned(),
        1..1_000 => format!("{millis}ms"),
        1_000..10_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        _ => age(duration),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_reads_as_in_kubectl() {
        for (seconds, expected) in [
            (0, "0s"),
            (12, "12s"),
            (119, "119s"),
            (120, "2m"),
            (180, "3m"),
            (185, "3m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 15 * MINUTE, "3h15m"),
            (8 * HOUR - 1, "7h59m"),
            (8 * HOUR, "8h"),
            (2 * DAY - 1, "47h"),
            (2 * DAY, "2d"),
            (2 * DAY + 5 * HOUR, "2d5h"),
            (8 * DAY, "8d"),
            (400 * DAY, "400d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), expected, "{seconds} s");
        }
    }

    #[test]
    fn a_request_time_keeps_about_two_digits() {
        for (micros, expected) in [
            (400, "<1ms"),
            (1_000, "1ms"),
            (812_345, "812ms"),
            (1_000_000, "1.0s"),
            (9_990_000, "9.9s"),
            (15_000_000, "15s"),
        ] {
            assert_eq!(took(Duration::from_micros(micros)), expected, "{micros} µs");
        }
    }
}
