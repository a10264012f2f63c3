//! What the kernel knows about this process, read from `/proc`.
//!
//! Owns nothing. Each figure is absent where it cannot be read, such as on other systems.

use std::time::Duration;

/// Clock ticks per second in `/proc/<pid>/stat`: `USER_HZ`, 100 on every architecture that we build
/// for (proc_pid_stat(5)).
const TICKS_PER_SECOND: u32 = 100;

/// Figures of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// User and system CPU time of all threads.
    pub cpu: Option<Duration>,
    /// Resident memory, bytes.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
}

impl Process {
    /// Reads the figures now.
    pub fn read() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").ok();
        let status = std::fs::read_to_string("/proc/self/status").ok();
        let files = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            cpu: stat.and_then(|stat| cpu(&stat)),
            resident_bytes: status.and_then(|status| resident_bytes(&status)),
            open_files: files.map(|entries| entries.count() as u64),
        }
    }
}

/// Fields 14 and 15 of the line, counted after the command's name, which may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = ticks.next()?.parse().ok()?;
    let system: u64 = ticks.next()?.parse().ok()?;
    let millis = user.checked_add(system)?.checked_mul(1000)?;
    Some(Duration::from_millis(millis / u64::from(TICKS_PER_SECOND)))
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_hostile_command_name() {
        let stat = "7 (a) R 1 (b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("7 (a) S 1"), None);
        assert_eq!(cpu(""), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2 * 1024 * 1024)
        );
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }
}
