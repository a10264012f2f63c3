//! What a process costs, read from `/proc`.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use rustix::param::clock_ticks_per_second;

/// What a process has used up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Memory in use now (`VmRSS`), bytes.
    pub resident_bytes: u64,
    /// The most memory that was ever in use (`VmHWM`), bytes.
    pub peak_resident_bytes: u64,
    /// CPU time of all its threads, user and system, to the kernel's tick (10 ms).
    pub cpu: Duration,
}

impl Usage {
    /// The usage of process `pid`.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| format!("read {path}"))
        };
        let (status, stat) = (read("status")?, read("stat")?);
        Self::parse(&status, &stat, clock_ticks_per_second())
            .with_context(|| format!("understand /proc/{pid}/status and stat"))
    }

    /// Reads the two files as proc(5) describes them.
    fn parse(status: &str, stat: &str, ticks_per_second: u64) -> Option<Self> {
        // The program's name may contain anything, also spaces and parentheses. utime and stime
        // are the 14th and 15th field, the 12th and 13th after the name.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let ticks = times.next()?.ok()? + times.next()?.ok()?;
        Some(Self {
            resident_bytes: bytes(status, "VmRSS:")?,
            peak_resident_bytes: bytes(status, "VmHWM:")?,
            cpu: Duration::from_millis(ticks * 1_000 / ticks_per_second),
        })
    }
}

fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_also_when_the_name_is_nasty() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let stat = "7 (a) S 9 (b) S 1 7 7 0 -1 4194304 500 0 0 0 150 75 0 0 20 0 1 0 100 1 1";
        assert_eq!(
            Usage::parse(status, stat, 100),
            Some(Usage {
                resident_bytes: 1_048_576,
                peak_resident_bytes: 2_097_152,
                cpu: Duration::from_millis(2_250),
            })
        );
    }

    #[test]
    fn our_own_usage_can_be_read() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0 && usage.peak_resident_bytes >= usage.resident_bytes);
    }
}
