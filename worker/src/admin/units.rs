//! Ages and sizes in the unit that a person would choose.

use std::fmt::{self, Display, Formatter};

/// A value, or a dash.
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("–"),
        }
    }
}

/// Time since a moment, in the unit that a person would choose. Both in Unix milliseconds.
pub(super) struct Age(pub(super) Option<i64>, pub(super) i64);

impl Display for Age {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.map(|then| self.1.saturating_sub(then).max(0) / 1000);
        match seconds {
            None => f.write_str("–"),
            Some(seconds @ ..120) => write!(f, "{seconds}s"),
            Some(seconds @ 120..7_200) => write!(f, "{}m", seconds / 60),
            Some(seconds @ 7_200..172_800) => write!(f, "{}h", seconds / 3_600),
            Some(seconds) => write!(f, "{}d", seconds / 86_400),
        }
    }
}

/// Time until a moment; one that has passed is due now.
pub(super) struct Until(pub(super) Option<i64>, pub(super) i64);

impl Display for Until {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(then) if then <= self.1 => f.write_str("now"),
            then => Age(then.map(|_| self.1), then.unwrap_or(self.1)).fmt(f),
        }
    }
}

/// Bytes in binary units.
pub(super) struct Bytes(pub(super) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => write!(f, "{} B", self.0),
            1024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.1} GiB", bytes / 1_073_741_824.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_in_the_unit_of_a_person() {
        let age = |seconds: i64| Age(Some(0), seconds * 1000).to_string();
        assert_eq!(
            [age(-5), age(119), age(120), age(7_200), age(172_800)],
            ["0s", "119s", "2m", "2h", "2d"]
        );
        assert_eq!(Age(None, 0).to_string(), "–");
        let until = |then| Until(then, 1000).to_string();
        assert_eq!(
            [until(None), until(Some(999)), until(Some(5000))],
            ["–", "now", "4s"]
        );
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes(1 << 31).to_string(), "2.0 GiB");
    }
}
