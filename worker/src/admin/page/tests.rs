//! What a person sees, and what a hostile receiver cannot make of it.

use super::*;
use crate::admin::fixture;
use crate::admin::view::WorkerView;
use crate::report::LaneMode;

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
        ">PARKED<",
        ">214<",
        ">89s<",
        ">SINCE<",
        ">DOWN<",
        ">HTTPStatus<",
        ">90s<",
        ">4s<",
        "broken.yaml",
        "refunds",
        ">paused<",
        "2 records of the worker's own topics could not be read",
    ] {
        assert!(index.contains(cell), "{cell}");
    }
}

#[test]
fn a_target_shows_the_lanes_that_are_not_live() {
    let [_, detail] = pages();
    for cell in [
        "214 events, the oldest for 89s",
        "1 draining · 1 parking · 0 stopped · the worst 2 of 2:",
        ">orders/1<",
        ">parking<",
        ">Overflow<",
        ">HTTPStatus 503<",
    ] {
        assert!(detail.contains(cell), "{cell}");
    }
}

#[test]
fn a_lane_that_stopped_is_an_alarm() {
    let mut report = fixture::report();
    let billing = report.targets.values_mut().next_back().unwrap();
    billing.parked.lanes[LaneMode::Stopped as usize] = 2;
    let view = WorkerView::new(&report, fixture::NOW);
    let index = Index {
        view: &view,
        now: fixture::NOW,
    }
    .to_string();
    assert!(
        index.contains("2 lanes of shop/billing have stopped"),
        "{index}"
    );
}
