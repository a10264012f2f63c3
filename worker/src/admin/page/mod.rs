//! The pages for people: [`Index`], all targets, and [`Detail`], one target.
//!
//! Rendered here, whole, from the same view that programs read. No script and nothing from
//! elsewhere. Every value goes through [`Text`]; what is written without it is a number or a literal.

use std::fmt::{self, Display, Formatter};

use super::html::Text;

mod detail;
mod index;
#[cfg(test)]
mod tests;

pub(super) use detail::Detail;
pub(super) use index::Index;

/// How often a browser asks again.
const REFRESH_SECONDS: u32 = 5;

const STYLE: &str = include_str!("style.css");

fn head(f: &mut Formatter<'_>, title: &str) -> fmt::Result {
    write!(
        f,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        Text(title)
    )
}

fn foot(f: &mut Formatter<'_>, time: Option<&str>) -> fmt::Result {
    if let Some(time) = time {
        writeln!(
            f,
            "<p class=\"dim\">As of {}, every {REFRESH_SECONDS} s anew.</p>",
            Text(time)
        )?;
    }
    f.write_str("</body>\n</html>\n")
}

/// A table that scrolls sideways on a small screen instead of breaking the page.
fn table<T>(
    f: &mut Formatter<'_>,
    columns: &[&str],
    rows: &[T],
    mut row: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("<div class=\"wide\"><table>\n<thead><tr>")?;
    for column in columns {
        write!(f, "<th scope=\"col\">{column}</th>")?;
    }
    f.write_str("</tr></thead>\n<tbody>\n")?;
    for one in rows {
        f.write_str("<tr>")?;
        row(f, one)?;
        f.write_str("</tr>\n")?;
    }
    f.write_str("</tbody>\n</table></div>\n")
}

fn cell(f: &mut Formatter<'_>, value: impl Display) -> fmt::Result {
    write!(f, "<td>{}</td>", Text(value))
}

fn number(f: &mut Formatter<'_>, value: impl Display) -> fmt::Result {
    write!(f, "<td class=\"number\">{}</td>", Text(value))
}

/// A state in its colour; the word says it too.
struct Badge(&'static str);

impl Display for Badge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<b class=\"state {}\">{}</b>",
            Text(self.0),
            Text(self.0)
        )
    }
}
