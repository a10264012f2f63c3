//! What `/proc/<pid>/smaps` tells of an executable's mappings (proc_pid_smaps(5)).
//!
//! Pure.

use std::path::Path;

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Its first address.
    pub(super) start: usize,
    /// Its length.
    pub(super) bytes: usize,
    /// Bytes of it in memory.
    pub(super) resident: usize,
}

/// The mappings of that file which cannot be written and of which no page differs from the file. What the
/// linker has relocated does, although it cannot be written any more.
pub(super) fn unchanged(smaps: &str, executable: &Path) -> Vec<Mapping> {
    let mut found = Vec::new();
    let mut lines = smaps.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(header) = Header::of(line) else {
            continue;
        };
        let (mut resident, mut anonymous, mut swapped) = (0, None, Some(0));
        while let Some(line) = lines.next_if(|line| Header::of(line).is_none()) {
            match line.split_once(':') {
                Some(("Rss", figure)) => resident = bytes(figure).unwrap_or(0),
                Some(("Anonymous", figure)) => anonymous = bytes(figure),
                // Absent where the kernel cannot swap.
                Some(("Swap", figure)) => swapped = bytes(figure),
                Some(_) | None => {}
            }
        }
        let differs = anonymous != Some(0) || swapped != Some(0);
        if header.is_private_and_fixed() && header.path == executable && !differs {
            found.push(Mapping {
                start: header.start,
                bytes: header.end.saturating_sub(header.start),
                resident,
            });
        }
    }
    found
}

/// The first line of a mapping: `start-end perms offset device inode path`.
struct Header<'a> {
    start: usize,
    end: usize,
    permissions: &'a str,
    path: &'a Path,
}

impl<'a> Header<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let mut rest = rest.splitn(5, ' ');
        let permissions = rest.next()?;
        let path = rest.nth(3).unwrap_or_default().trim_start();
        Some(Self {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            permissions,
            path: Path::new(path),
        })
    }

    fn is_private_and_fixed(&self) -> bool {
        self.permissions.starts_with("r-") && self.permissions.ends_with('p')
    }
}

/// A figure such as `   12 kB`.
fn bytes(figure: &str) -> Option<usize> {
    let kib: usize = figure.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXECUTABLE: &str = "/usr/local/bin/parcelhook worker";

    fn mapping(permissions: &str, path: &str, figures: &str) -> String {
        format!(
            "7f0000001000-7f0000005000 {permissions} 00001000 fe:00 1234567        {path}\n\
             Size:                 16 kB\nRss:                   8 kB\n{figures}\n\
             VmFlags: rd ex mr mw me \n"
        )
    }

    #[test]
    fn only_what_is_as_in_the_executables_file_is_found() {
        let clean = "Anonymous:             0 kB\nSwap:                  0 kB";
        let cases = [
            ("r-xp", EXECUTABLE, clean, true),
            ("r--p", EXECUTABLE, clean, true),
            // Relocated by the linker and then closed.
            ("r--p", EXECUTABLE, "Anonymous:             4 kB", false),
            (
                "r--p",
                EXECUTABLE,
                "Anonymous:             0 kB\nSwap:                  4 kB",
                false,
            ),
            ("r--p", EXECUTABLE, "Anonymous:             ? kB", false),
            // Told by no kernel that we know.
            ("r--p", EXECUTABLE, "Swap:                  0 kB", false),
            ("r-xp", EXECUTABLE, "Anonymous:             0 kB", true),
            ("rw-p", EXECUTABLE, clean, false),
            ("r-xs", EXECUTABLE, clean, false),
            ("---p", EXECUTABLE, clean, false),
            ("r-xp", "/usr/lib/libc.so.6", clean, false),
            ("r-xp", "[vdso]", clean, false),
            ("r--p", "", clean, false),
        ];
        for (permissions, path, figures, found) in cases {
            let before = mapping("rw-p", "[heap]", "Anonymous:          4096 kB");
            let text = before + &mapping(permissions, path, figures);
            let expected = found.then_some(Mapping {
                start: 0x7f00_0000_1000,
                bytes: 0x4000,
                resident: 8192,
            });
            let got = unchanged(&text, Path::new(EXECUTABLE));
            assert_eq!(
                got,
                Vec::from_iter(expected),
                "{permissions} {path} {figures}"
            );
        }
    }

    #[test]
    fn garbage_is_nothing_to_give_back() {
        for garbage in ["", "\n\n", "-", "zz-yy r-xp", "1000-2000", "Rss: many kB"] {
            assert_eq!(unchanged(garbage, Path::new(EXECUTABLE)), []);
        }
    }
}
