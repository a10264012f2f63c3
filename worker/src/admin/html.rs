//! Text inside of HTML. Whatever a receiver or a tenant wrote goes through here.

use std::fmt;

/// Shows a value so that it is text anywhere in HTML, also inside of a quoted attribute.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::write(&mut Escaping(f), format_args!("{}", self.0))
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(['&', '<', '>', '"', '\'']) {
            let special = piece.chars().next_back().and_then(entity);
            let Some((length, entity)) = special else {
                self.0.write_str(piece)?;
                continue;
            };
            self.0.write_str(&piece[..piece.len() - length])?;
            self.0.write_str(entity)?;
        }
        Ok(())
    }
}

/// Length of a special character in bytes, and its entity.
fn entity(character: char) -> Option<(usize, &'static str)> {
    let entity = match character {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        _ => return None,
    };
    Some((character.len_utf8(), entity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let table = [
            ("", ""),
            ("plain ü", "plain ü"),
            ("<b>&'\"", "&lt;b&gt;&amp;&#39;&quot;"),
            ("&amp;", "&amp;amp;"),
            ("a<", "a&lt;"),
        ];
        for (text, html) in table {
            assert_eq!(Text(text).to_string(), html);
        }
    }
}
