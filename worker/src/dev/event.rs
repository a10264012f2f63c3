//! The events of the demo: a small shop's orders and their payments. The same number always makes
//! the same event. Pure.

use super::topics::PARTITIONS;

/// Smallest value, bytes: the longest event without its padding.
pub(super) const MIN_SIZE_BYTES: u32 = 192;

/// What an event takes in the broker beside its value, at most, bytes: a batch header of its own (61,
/// KIP-98), the record's lengths and deltas (≤ 21), key (≤ 12) and header (≤ 32).
pub(super) const OVERHEAD_BYTES: u32 = 128;

/// Customers. A multiple of the partitions, so that each partition gets as many events.
const CUSTOMERS: u64 = 64;

/// Odd, so that `number × STRIDE % CUSTOMERS` meets each customer once a round, in a mixed order.
const STRIDE: u64 = 37;

const REGIONS: [&str; 3] = ["eu", "us", "apac"];

const CURRENCIES: [&str; 3] = ["EUR", "USD", "SGD"];

/// An event as it is produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The customer: all events of a customer are in one partition, so they stay in order.
    pub(super) key: String,
    /// JSON of exactly the wanted size.
    pub(super) value: String,
    /// The header `region`, for filters.
    pub(super) region: &'static str,
    /// Its partition.
    pub(super) partition: i32,
}

/// The name of the one header.
pub(super) const REGION_HEADER: &str = "region";

/// The event of `topic` with that number, with a value of `size` bytes (at least [`MIN_SIZE_BYTES`]).
pub(super) fn event(topic: &str, number: u64, size: u32) -> Event {
    let customer = number.wrapping_mul(STRIDE) % CUSTOMERS;
    let region = (customer % REGIONS.len() as u64) as usize;
    let cents = 500 + number.wrapping_mul(7_919) % 49_500;
    let (status, detail) = match topic {
        "orders" => ("placed", format!(r#""items":{}"#, 1 + number % 5)),
        "payments" => ("captured", r#""method":"card""#.to_owned()),
        _ => ("created", format!(r#""number":{number}"#)),
    };
    let mut value = format!(
        concat!(
            r#"{{"order":"ord-{:010}","customer":"cus-{:03}","status":"{}","#,
            r#""amount":"{}.{:02}","currency":"{}",{},"note":""#
        ),
        number,
        customer,
        status,
        cents / 100,
        cents % 100,
        CURRENCIES[region],
        detail,
    );
    pad(&mut value, size as usize);
    Event {
        key: format!("cus-{customer:03}"),
        value,
        region: REGIONS[region],
        partition: (customer % PARTITIONS as u64) as i32,
    }
}

/// Ends the note, and with it the object, so that the value has `size` bytes.
fn pad(value: &mut String, size: usize) {
    const NOTE: &str = "handle with care, this side up, ";
    const END: &str = r#""}"#;
    let missing = size.saturating_sub(value.len() + END.len());
    value.extend(NOTE.chars().cycle().take(missing));
    value.push_str(END);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NUMBERS: [u64; 6] = [0, 1, 41, 9_999, 10_000_000, 9_999_999_999];

    #[test]
    fn the_same_number_makes_the_same_event() {
        assert_eq!(event("orders", 41, 256), event("orders", 41, 256));
        assert_ne!(event("orders", 41, 256), event("orders", 42, 256));
        insta::assert_snapshot!(event("orders", 41, 192).value, @r#"{"order":"ord-0000000041","customer":"cus-045","status":"placed","amount":"281.79","currency":"EUR","items":2,"note":"handle with care, this side up, handle with care, this side up, handle w"}"#);
    }

    #[test]
    fn a_value_is_json_of_exactly_the_wanted_size() {
        for topic in ["orders", "payments", "of-your-own"] {
            for number in NUMBERS {
                for size in [MIN_SIZE_BYTES, 256, 65_536] {
                    let event = event(topic, number, size);
                    assert_eq!(event.value.len(), size as usize, "{topic} {number}");
                    let value: serde_json::Value = serde_json::from_str(&event.value).unwrap();
                    assert_eq!(value["customer"], event.key.as_str());
                }
            }
        }
    }

    #[test]
    fn key_and_header_stay_within_the_overhead() {
        for number in NUMBERS {
            let event = event("orders", number, 256);
            assert!(event.key.len() <= 12);
            assert!(2 + REGION_HEADER.len() + event.region.len() <= 32);
        }
    }

    #[test]
    fn a_customer_stays_in_one_partition_and_partitions_get_equal_shares() {
        let mut partition_of = BTreeMap::new();
        let mut counts = [0; PARTITIONS as usize];
        for number in 0..10 * CUSTOMERS {
            let event = event("orders", number, 256);
            counts[event.partition as usize] += 1;
            let known = *partition_of.entry(event.key).or_insert(event.partition);
            assert_eq!(known, event.partition);
        }
        assert_eq!(partition_of.len(), CUSTOMERS as usize);
        assert_eq!(counts, [10 * CUSTOMERS / 4; 4]);
    }

    #[test]
    fn an_order_and_its_payment_share_number_and_customer() {
        let order = event("orders", 7, 256);
        let payment = event("payments", 7, 256);
        assert_eq!(order.key, payment.key);
        assert!(order.value.contains("ord-0000000007") && payment.value.contains("ord-0000000007"));
    }
}
