//! What a shard promises: it comes back, is small, never shows a secret, and one bad entry stays alone.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::compiled::{
    Authentication, ClientCertificate, Endpoint, Filter, Format, HeaderMatch, KeyMatch, Method,
    OnHeadFailing, OnReject, OverrideOutcome, Retry, RetryAfterPolicy, Source, SourceClass,
    StartFrom, StatusOverride, Tls, TlsVersion, TransactionLimits,
};
use crate::secret::Secret;

const SALT: Uuid = Uuid::from_u128(0x5a17);

/// A target with everything that a target can have.
fn full(number: u128) -> CompiledTarget {
    CompiledTarget {
        uid: Uuid::from_u128(number),
        namespace: "shop".to_owned(),
        name: format!("orders-{number}"),
        suspend: false,
        sources: vec![Source {
            topic: "orders".to_owned(),
            class: SourceClass::Ephemeral,
            filter: Some(Filter {
                headers: vec![HeaderMatch {
                    name: "kind".to_owned(),
                    values: vec!["a".to_owned()],
                }],
                keys: vec![KeyMatch::Prefix("k".to_owned())],
            }),
        }],
        start_from: StartFrom::Timestamp(1_000),
        endpoint: Endpoint {
            url: Secret::new(format!("https://example.com/{number}?token=abc")),
            shown_url: format!("https://example.com/{number}"),
            method: Method::Put,
            headers: vec![("x-team".to_owned(), "shop".to_owned())],
            tls: Tls {
                ca: Some(Secret::new("ca")),
                client_certificate: Some(ClientCertificate {
                    chain: Secret::new("chain"),
                    key: Secret::new(vec![0xff, 0]),
                }),
                server_name: Some("hook".to_owned()),
                min_version: TlsVersion::Tls13,
            },
        },
        authentication: Some(Authentication::Basic {
            username: Secret::new("user"),
            password: Secret::new("hunter2"),
        }),
        signing_keys: vec![Secret::new([7; 24]), Secret::new([8; 24])],
        format: Format::default(),
        event_type: "dev.parcelhook.event".to_owned(),
        transaction: TransactionLimits {
            max_events: 100,
            max_bytes: 1 << 20,
        },
        timeout: Duration::from_secs(15),
        retry: Retry {
            initial_backoff: Duration::from_secs(2),
            max_backoff: Duration::from_secs(512),
            max_age: Duration::from_secs(518_400),
            retry_after: RetryAfterPolicy::Honor,
            reject_attempts: 3,
            status_overrides: vec![StatusOverride {
                code: 404,
                outcome: OverrideOutcome::Gone,
            }],
        },
        on_reject: OnReject::Block,
        on_head_failing: OnHeadFailing::DeadLetter,
        dead_letter_topic: Some("dead".to_owned()),
        failure_threshold: 2,
        deleted: false,
        requests: Vec::new(),
    }
}

/// A target with as little as a target can have.
fn plain(number: u128) -> CompiledTarget {
    let mut target = full(number);
    target.sources[0].filter = None;
    target.start_from = StartFrom::Latest;
    target.endpoint.tls = Tls::default();
    target.authentication = None;
    target.signing_keys.clear();
    target.retry.status_overrides.clear();
    target.dead_letter_topic = None;
    target
}

fn entry(target: CompiledTarget) -> Entry {
    Entry {
        generation: 3,
        held: false,
        target,
    }
}

fn encode(entries: &[Entry]) -> Encoded {
    Shard::encode(SALT, &entries.iter().collect::<Vec<_>>())
}

fn decode(encoded: &Encoded) -> Shard {
    Shard::decode(&encoded.name, &encoded.bytes).unwrap()
}

#[test]
fn every_part_of_a_target_comes_back() {
    let mut header = plain(3);
    header.authentication = Some(Authentication::Header {
        name: "x-key".to_owned(),
        value: Secret::new("k"),
    });
    let mut bearer = plain(4);
    bearer.authentication = Some(Authentication::Bearer(Secret::new("t")));
    let entries = [full(1), plain(2), header, bearer].map(entry);
    assert_eq!(decode(&encode(&entries)).entries, entries);
}

#[test]
fn the_wire_form_is_the_same_in_every_release() {
    let json = |target: &CompiledTarget| serde_json::to_string(&Written(target)).unwrap();
    insta::assert_snapshot!(json(&full(1)));
    insta::assert_snapshot!(json(&plain(2)));
}

#[test]
fn requests_do_not_change_a_shard() {
    let mut asked = entry(plain(1));
    let before = encode(std::slice::from_ref(&asked));
    asked.target.requests = vec![crate::compiled::Request::RetryAt("x".to_owned())];
    assert_eq!(encode(&[asked]), before);
}

#[test]
fn a_held_target_is_suspended_and_one_that_is_released_is_as_it_was() {
    for (suspend, held) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut one = entry(plain(1));
        (one.target.suspend, one.held) = (suspend, held);
        let mut read = decode(&encode(&[one])).entries.remove(0);
        assert_eq!(read.clone().into_target().suspend, suspend || held);
        read.held = false;
        assert_eq!(read.into_target().suspend, suspend);
    }
}

#[test]
fn an_entry_of_a_later_version_is_told_alone_and_shows_nothing() {
    let encoded = encode(&[entry(full(1)), entry(full(2))]);
    let json = String::from_utf8(zip::unpack(&encoded.bytes).unwrap()).unwrap();
    let (first, second) = json.split_once("orders-2").unwrap();
    let second = second.replace("\"Basic\"", "\"hunter2-as-a-kind\"");
    let json = format!("{first}orders-2{second}");
    let shard = Shard::decode(&name_of(json.as_bytes()), &zip::pack(json.as_bytes())).unwrap();
    assert_eq!(shard.entries, [entry(full(1))]);
    assert_eq!(shard.unreadable.len(), 1);
    assert_eq!(shard.unreadable[0].uid, Uuid::from_u128(2));
    let told = shard.unreadable[0].to_string();
    assert!(
        told.contains("later version") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn a_field_of_a_later_version_is_skipped() {
    let encoded = encode(&[entry(plain(1))]);
    let json = String::from_utf8(zip::unpack(&encoded.bytes).unwrap()).unwrap();
    let json = json.replace("\"eventType\"", "\"later\":{\"a\":1},\"eventType\"");
    let shard = Shard::decode(&name_of(json.as_bytes()), &zip::pack(json.as_bytes())).unwrap();
    assert_eq!(shard.entries, [entry(plain(1))]);
}

#[test]
fn a_shard_that_somebody_changed_is_refused() {
    let (one, other) = (encode(&[entry(plain(1))]), encode(&[entry(plain(2))]));
    let error = Shard::decode(&one.name, &other.bytes).unwrap_err();
    assert!(error.to_string().contains("has changed it"), "{error}");
    let json = b"{\"salt\":\"hunter2\"}";
    let error = Shard::decode(&name_of(json), &zip::pack(json)).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn another_salt_is_another_name() {
    let one = entry(plain(1));
    let name = |salt| Shard::encode(Uuid::from_u128(salt), &[&one]).name;
    assert_ne!(name(1), name(2));
}

#[test]
fn debug_shows_no_secret() {
    let one = entry(full(1));
    let shown = format!("{one:?} {:?}", encode(std::slice::from_ref(&one)));
    assert!(
        !shown.contains("hunter2") && !shown.contains("token"),
        "{shown}"
    );
}

#[test]
fn a_thousand_targets_of_one_shard_fit_a_secret_several_times() {
    let entries: Vec<Entry> = (0..1_000)
        .map(|number| {
            let mut one = entry(full(number * 0x9e37_79b9_7f4a_7c15));
            // What does not pack: a token and a key of its own.
            let random = ring::digest::digest(&SHA256, &number.to_be_bytes());
            one.target.signing_keys = vec![Secret::new(random.as_ref())];
            one
        })
        .collect();
    let bytes = encode(&entries).bytes.len();
    assert!(bytes < 160 * 1024, "{bytes}");
}

#[test]
fn targets_are_spread_evenly_and_stay_where_they_are() {
    let mut counts = [0_usize; 16];
    for number in 0..1_600_u128 {
        counts[shard_of(Uuid::from_u128(number), 16)] += 1;
    }
    assert!(
        counts.iter().all(|count| (50..150).contains(count)),
        "{counts:?}"
    );
    // Computed with a few lines of Python.
    for (uid, of_16, of_256) in PLACES {
        let uid: Uuid = uid.parse().unwrap();
        assert_eq!((shard_of(uid, 16), shard_of(uid, 256)), (of_16, of_256));
    }
}

const PLACES: [(&str, usize, usize); 2] = [
    ("00000000-0000-0000-0000-000000000000", 5, 213),
    ("93483627-b8ed-58ca-9386-42f3c0aa0bf6", 12, 156),
];

proptest! {
    #[test]
    fn the_order_of_targets_does_not_matter(mut numbers in prop::collection::vec(0..50_u128, 0..20)) {
        numbers.sort_unstable();
        numbers.dedup();
        let entries: Vec<Entry> = numbers.iter().map(|number| entry(plain(*number))).collect();
        let mut turned = entries.clone();
        turned.reverse();
        prop_assert_eq!(encode(&entries), encode(&turned));
        prop_assert_eq!(decode(&encode(&turned)).entries, entries);
    }
}
