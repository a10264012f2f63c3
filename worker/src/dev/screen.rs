//! Where the demo is shown: lines that stay, and below them a table that is redrawn in place.
//!
//! Owns the writer and how many lines of it are the table. On a terminal the table is overwritten by
//! plain ANSI sequences (ECMA-48, and DECAWM so that a long line is cut and not wrapped), and what
//! scrolled away stays. Elsewhere nothing is overwritten: the table is written anew when a state
//! changes, and every 5 s.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::report::State;

use super::table::{Look, Row, cut, render};

/// How often the table is written when it cannot be redrawn and nothing changes.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// What the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A terminal: the table is redrawn in place.
    Terminal {
        /// Whether DOWN may be red.
        colour: bool,
    },
    /// A file or a pipe.
    Plain,
}

impl Kind {
    /// What standard output is. A `dumb` terminal cannot redraw; a person who sets `NO_COLOR` to
    /// anything wants no colour (<https://no-color.org>).
    pub fn of_stdout() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        if io::stdout().is_terminal() && !dumb {
            let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            Self::Terminal { colour }
        } else {
            Self::Plain
        }
    }
}

/// Rows and columns of the terminal that standard output is; none when it is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    width: Option<usize>,
    height: Option<usize>,
}

impl Size {
    fn of_stdout() -> Self {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        // A terminal that does not know its size says zero.
        let known = |length: u16| (length > 0).then_some(usize::from(length));
        Self {
            width: size.and_then(|size| known(size.ws_col)),
            height: size.and_then(|size| known(size.ws_row)),
        }
    }
}

/// The lines and the table.
#[derive(Debug)]
pub struct Screen<W> {
    out: W,
    kind: Kind,
    /// Lines of the table on the terminal; the cursor is in the line below.
    drawn: usize,
    /// What a plain output saw last, and when.
    plain: Option<(Instant, Vec<(String, State)>)>,
}

impl<W: Write> Screen<W> {
    /// Shows on `out`, which is of that kind.
    pub fn new(out: W, kind: Kind) -> Self {
        Self {
            out,
            kind,
            drawn: 0,
            plain: None,
        }
    }

    /// Writes lines that stay, above the table. The table is gone until it is drawn again.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub(super) fn say(&mut self, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = self.back_to_the_top();
        if self.drawn > 0 {
            text.push_str(CLEAR_BELOW);
        }
        self.drawn = 0;
        for line in lines {
            text.push_str(&printable(line));
            text.push('\n');
        }
        self.put(&text)
    }

    /// Writes the last lines, below the table, which stays as it is.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub(super) fn end(&mut self, lines: &[String]) -> io::Result<()> {
        self.drawn = 0;
        // The terminal may have echoed `^C` where the cursor is.
        self.put("\n")?;
        self.say(lines)
    }

    /// Shows the table with `notes` below it.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub(super) fn draw(&mut self, rows: &[Row], notes: &[String], now: Instant) -> io::Result<()> {
        match self.kind {
            Kind::Terminal { colour } => {
                let size = Size::of_stdout();
                let lines = fitted(rows, notes, size, colour);
                self.redraw(&lines)
            }
            Kind::Plain => self.append(rows, notes, now),
        }
    }

    fn redraw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = self.back_to_the_top();
        text.push_str(NO_WRAP);
        for line in lines {
            text.push_str(line);
            text.push_str(CLEAR_TO_END_OF_LINE);
            text.push('\n');
        }
        text.push_str(CLEAR_BELOW);
        text.push_str(WRAP);
        self.drawn = lines.len();
        self.put(&text)
    }

    fn append(&mut self, rows: &[Row], notes: &[String], now: Instant) -> io::Result<()> {
        let states: Vec<_> = rows
            .iter()
            .map(|row| (row.name.clone(), row.state))
            .collect();
        let old = self.plain.as_ref().is_none_or(|(last, seen)| {
            *seen != states || now.saturating_duration_since(*last) >= PLAIN_EVERY
        });
        if !old {
            return Ok(());
        }
        self.plain = Some((now, states));
        let mut text = String::from("\n");
        for line in render(rows, Look::default()).iter().chain(notes) {
            text.push_str(line);
            text.push('\n');
        }
        self.put(&text)
    }

    /// The cursor to the first line of the table.
    fn back_to_the_top(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\r\x1b[{lines}A"),
        }
    }

    /// One write a change, so that a terminal shows no half of it.
    fn put(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// Table and notes as lines that fit: what is beyond the upper edge could not be overwritten.
fn fitted(rows: &[Row], notes: &[String], size: Size, colour: bool) -> Vec<String> {
    let look = Look {
        width: size.width,
        colour,
    };
    // Without the empty line before the table, and the line of the cursor below it.
    let room = size.height.unwrap_or(usize::MAX).saturating_sub(2);
    let mut lines = render(rows, look);
    let targets = room.saturating_sub(notes.len()).max(2);
    if lines.len() > targets {
        let hidden = lines.len() - targets + 1;
        lines.truncate(targets - 1);
        lines.push(format!("… and {hidden} more: see the status page"));
    }
    lines.insert(0, String::new());
    lines.extend(notes.iter().map(|note| cut(note.clone(), size.width)));
    lines
}

/// Lines hold what others wrote (a manifest's mistake): no control characters reach the terminal.
fn printable(line: &str) -> String {
    line.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::clock;

    fn terminal() -> Screen<Vec<u8>> {
        Screen::new(Vec::new(), Kind::Terminal { colour: false })
    }

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn written(screen: &mut Screen<Vec<u8>>) -> String {
        String::from_utf8(std::mem::take(&mut screen.out)).unwrap()
    }

    /// What a terminal shows after these bytes: just enough of one for our own sequences.
    #[derive(Default)]
    struct Shown {
        lines: Vec<String>,
        at: usize,
    }

    impl Shown {
        fn feed(&mut self, text: &str) {
            let mut rest = text;
            while let Some(letter) = rest.chars().next() {
                rest = &rest[letter.len_utf8()..];
                match letter {
                    '\n' => self.at += 1,
                    '\r' => {}
                    '\x1b' => rest = self.sequence(rest),
                    letter => {
                        let line = self.line();
                        line.push(letter);
                    }
                }
            }
        }

        fn line(&mut self) -> &mut String {
            while self.lines.len() <= self.at {
                self.lines.push(String::new());
            }
            &mut self.lines[self.at]
        }

        fn sequence<'a>(&mut self, rest: &'a str) -> &'a str {
            let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            let (body, after) = (&rest[1..end], &rest[end + 1..]);
            match &rest[end..=end] {
                "A" => {
                    self.at -= body.parse::<usize>().unwrap();
                    // Every use is followed by lines that replace what is there.
                    for line in self.lines.iter_mut().skip(self.at) {
                        line.clear();
                    }
                }
                "J" => self.lines.truncate(self.at),
                "K" | "h" | "l" | "m" => {}
                other => panic!("unknown sequence {other}"),
            }
            after
        }
    }

    #[test]
    fn a_new_table_takes_the_place_of_the_old_one() {
        let mut screen = terminal();
        let mut shown = Shown::default();
        screen.say(&lines(&["hello"])).unwrap();
        screen.redraw(&lines(&["NAME", "a", "b"])).unwrap();
        screen.redraw(&lines(&["NAME", "c"])).unwrap();
        shown.feed(&written(&mut screen));
        assert_eq!(shown.lines, ["hello", "NAME", "c"]);
    }

    #[test]
    fn a_line_goes_above_the_table_and_stays() {
        let mut screen = terminal();
        let mut shown = Shown::default();
        screen.redraw(&lines(&["NAME", "a"])).unwrap();
        screen.say(&lines(&["a is DOWN"])).unwrap();
        screen.redraw(&lines(&["NAME", "a"])).unwrap();
        screen.say(&lines(&["a is UP again"])).unwrap();
        screen.redraw(&lines(&["NAME", "a"])).unwrap();
        shown.feed(&written(&mut screen));
        assert_eq!(shown.lines, ["a is DOWN", "a is UP again", "NAME", "a"]);
    }

    #[test]
    fn lines_are_cut_by_the_terminal_only_while_the_table_is_drawn() {
        let mut screen = terminal();
        screen.redraw(&lines(&["NAME"])).unwrap();
        let text = written(&mut screen);
        assert!(text.contains(NO_WRAP) && text.ends_with(WRAP), "{text:?}");
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        let mut screen = terminal();
        screen.say(&lines(&["bad\x1b[2Jfile\r\n"])).unwrap();
        assert_eq!(written(&mut screen), "bad [2Jfile  \n");
    }

    #[test]
    fn a_table_higher_than_the_terminal_says_how_much_is_hidden() {
        let rows = vec![sample::rows().remove(0); 20];
        let size = Size {
            width: Some(80),
            height: Some(10),
        };
        let lines = fitted(&rows, &lines(&["note"]), size, false);
        assert_eq!(lines.len(), 9);
        assert_eq!(lines[7], "… and 15 more: see the status page");
        assert_eq!(lines[8], "note");
    }

    #[test]
    fn a_table_that_fits_is_shown_whole() {
        for height in [None, Some(40)] {
            let size = Size {
                width: None,
                height,
            };
            let lines = fitted(&sample::rows(), &lines(&["note"]), size, false);
            assert_eq!(lines.len(), 1 + 4 + 1, "{height:?}");
        }
    }

    #[test]
    fn a_plain_output_gets_the_table_when_a_state_changes_and_every_5_s() {
        let mut screen = Screen::new(Vec::new(), Kind::Plain);
        let start = clock::now();
        let mut rows = sample::rows();
        let wrote = |screen: &mut Screen<Vec<u8>>, rows: &[Row], seconds| {
            let now = start + Duration::from_secs(seconds);
            screen.draw(rows, &[], now).unwrap();
            !written(screen).is_empty()
        };
        assert!(wrote(&mut screen, &rows, 0));
        rows[0].delivered += 1;
        assert!(!wrote(&mut screen, &rows, 1));
        rows[0].state = State::Up;
        assert!(wrote(&mut screen, &rows, 2));
        assert!(!wrote(&mut screen, &rows, 6));
        assert!(wrote(&mut screen, &rows, 7));
    }

    #[test]
    fn a_plain_output_gets_no_escape_sequences() {
        let mut screen = Screen::new(Vec::new(), Kind::Plain);
        screen.say(&lines(&["hello"])).unwrap();
        screen
            .draw(&sample::rows(), &lines(&["note"]), clock::now())
            .unwrap();
        screen.say(&lines(&["bye"])).unwrap();
        assert!(!written(&mut screen).contains('\x1b'));
    }
}
