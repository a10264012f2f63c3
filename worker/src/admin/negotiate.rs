//! Whether a client wants the page or JSON.
//!
//! Reads the `Accept` header by RFC 9110, section 12.5.1, for two media types. JSON is the default:
//! the page goes only to who prefers it, as browsers do.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// Whether the page is preferred over JSON.
pub(super) fn prefers_page(headers: &HeaderMap) -> bool {
    let mut page = Preference::default();
    let mut json = Preference::default();
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = weighted(range);
            page.consider(name, "text", "text/html", weight);
            json.consider(name, "application", "application/json", weight);
        }
    }
    page.weight > json.weight
}

/// The weight of one media type, by the most specific range that matches it.
#[derive(Default)]
struct Preference {
    specificity: u8,
    weight: u16,
}

impl Preference {
    fn consider(&mut self, range: &str, kind: &str, full: &str, weight: u16) {
        let specificity = match range.split_once('/') {
            _ if range.eq_ignore_ascii_case(full) => 3,
            Some((one, "*")) if one.eq_ignore_ascii_case(kind) => 2,
            Some(("*", "*")) => 1,
            Some(_) | None => return,
        };
        if specificity >= self.specificity {
            *self = Self {
                specificity,
                weight,
            };
        }
    }
}

/// A media range and its weight in thousandths. A weight that does not parse counts as 0.
fn weighted(range: &str) -> (&str, u16) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .map_or(1000, thousandths);
    (name, weight)
}

fn thousandths(weight: &str) -> u16 {
    match weight.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u16,
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_prefers_html_gets_the_page() {
        let table = [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("text/html"), true),
            (Some("TEXT/HTML"), true),
            (Some("text/*"), true),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                true,
            ),
            (Some("text/html;q=0.5, application/json"), false),
            (Some("application/json;q=0.5, text/html"), true),
            (Some("text/html, application/json"), false),
            (Some("text/html;q=0, */*"), false),
            (Some("*/*, text/html;q=0"), false),
            (Some("text/html;q=rubbish"), false),
            (Some("text/html;q=NaN"), false),
            (Some(""), false),
            (Some(";;,,=/"), false),
        ];
        for (accept, page) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(prefers_page(&headers), page, "{accept:?}");
        }
    }
}
