//! Good news in the rows of other workers: a lane that had failed was delivered.
//!
//! Pure. A lane that fails has a row that counts its failures, and the first delivery after them writes
//! one that counts none: so the edge that makes a target's other lanes try early is in the lanes topic
//! already, for the workers that own those. What makes a count end without a delivery (a target that is
//! suspended and resumed, a lane that ends) is no news.

use parcelhook_crds::lane::Entry;
use uuid::Uuid;

use super::super::RowPlace;
use super::super::table::{Table, place_of};

/// The target that took a delivery after failing, and where, if `entry` tells so. `table` is what was
/// known before it.
pub(super) fn recovered(table: &Table, entry: &Entry) -> Option<(RowPlace, Uuid)> {
    let Entry::Lane(scope, name, row) = entry else {
        return None;
    };
    let before = table.row(scope, name)?;
    let is_edge = before.attempts > 0
        && row.attempts == 0
        && row.delivered_through > before.delivered_through;
    is_edge.then(|| (place_of(scope), name.target))
}

#[cfg(test)]
mod tests {
    use parcelhook_crds::lane::LaneRow;

    use super::super::super::sample::{epoch, lane, lane_entry, place};
    use super::*;

    fn entry(number: u32, change: impl FnOnce(&mut LaneRow)) -> Entry {
        let Entry::Lane(scope, name, mut row) = lane_entry("g", &place(0), epoch(number), lane(1))
        else {
            panic!("a row");
        };
        change(&mut row);
        Entry::Lane(scope, name, row)
    }

    fn row(attempts: u32, delivered_through: i64) -> impl FnOnce(&mut LaneRow) {
        move |row| {
            row.attempts = attempts;
            row.delivered_through = delivered_through;
        }
    }

    #[test]
    fn the_first_delivery_after_failures_is_news_and_nothing_else_is() {
        let mut table = Table::new("g");
        let rows = [
            (entry(1, row(2, 5)), false, "nothing was known"),
            (entry(1, row(3, 5)), false, "it fails on"),
            (entry(1, row(0, 8)), true, "it was delivered"),
            (entry(1, row(0, 9)), false, "and once more"),
            (entry(1, row(1, 9)), false, "it fails again"),
            (entry(1, row(0, 9)), false, "its target was resumed"),
            (entry(2, row(4, 9)), false, "another owner"),
            (entry(2, row(0, 10)), true, "which delivers"),
        ];
        for (entry, is_news, what) in rows {
            let news = recovered(&table, &entry);
            assert_eq!(news.is_some(), is_news, "{what}");
            assert!(news.is_none_or(|(at, uid)| at == place(0) && uid == lane(1).target));
            table.apply(entry);
        }
    }

    #[test]
    fn what_another_group_writes_is_no_news() {
        let mut table = Table::new("other");
        for entry in [entry(1, row(2, 5)), entry(1, row(0, 8))] {
            assert!(recovered(&table, &entry).is_none());
            table.apply(entry);
        }
    }
}
