//! What a person sees, and what a hostile receiver cannot make of it.

use super::*;
use crate::admin::fixture;
use crate::admin::view::WorkerView;

fn pages() -> [String; 2] {
    let view = WorkerView::new(&fixture::report(), fixture::NOW);
    let now = fixture::NOW;
    let index = Index { view: &view, now }.to_string();
    let view = &view.targets[0];
    [index, Detail { view, now }.to_string()]
}

#[test]
fn hostile_texts_stay_texts() {
    for page in pages() {
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"));
        assert!(!page.contains("<script"), "{page}");
    }
}

#[test]
fn a_hostile_name_stays_inside_of_its_attribute() {
    let mut view = WorkerView::new(&fixture::report(), fixture::NOW);
    view.targets[0].name = "\"><img src=x onerror=alert(1)>".to_owned();
    let now = fixture::NOW;
    let page = Index { view: &view, now }.to_string();
    assert!(!page.contains("<img"), "{page}");
    assert!(
        page.contains("href=\"/targets/shop/&quot;&gt;&lt;img"),
        "{page}"
    );
}

#[test]
fn the_pages_load_nothing_and_show_no_secret() {
    for page in pages() {
        for word in ["<link", "<img", "src=", "@import", "url(", fixture::SECRET] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("http-equiv=\"refresh\""));
    }
}

#[test]
fn the_table_says_what_kubectl_would() {
    let [index, _] = pages();
    for cell in [
        ">STATE<",
        ">REASON<",
        ">PENDING<",
        ">SINCE<",
        ">DOWN<",
        ">HTTPStatus<",
        ">90s<",
        ">4s<",
        "broken.yaml",
        "refunds",
        ">paused<",
    ] {
        assert!(index.contains(cell), "{cell}");
    }
}
