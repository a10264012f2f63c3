//! Which addresses a request may go to. A tenant writes the URL, so it is hostile.
//!
//! Three classes: public addresses are open; private and loopback ranges are closed until the operator
//! (never the resource) opens them; everything else can never be opened. An IPv4 address inside an
//! IPv6 one is judged as that IPv4 address. Pure: who resolves names and who connects ask here.
//!
//! Sources of the ranges: the IANA special-purpose registries, and the metadata addresses of the large
//! clouds, which lie in ranges that an operator may well have to open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address that a request must not go to. Names the range and never the address: what a name
/// resolves to inside the operator's network is not the tenant's to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No configuration opens it.
    #[error("the endpoint's address is in {0}, where nothing is ever delivered")]
    Forbidden(&'static str),
    /// The operator may open it.
    #[error(
        "the endpoint's address is in {0}, which is private: the operator can open it with --egress-allow"
    )]
    Private(&'static str),
}

/// The operator's policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    opened: Vec<IpNet>,
}

impl Policy {
    /// Opens the private and loopback addresses within `opened`. What is never open stays closed, also
    /// when a range of `opened` covers it.
    pub fn new(opened: Vec<IpNet>) -> Self {
        Self { opened }
    }

    /// Judges one address.
    ///
    /// # Errors
    /// When a request must not go there.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let address = judged_as(address);
        let (forbidden, private) = match address {
            IpAddr::V4(v4) => (find(&FORBIDDEN_V4, v4), find(&PRIVATE_V4, v4)),
            IpAddr::V6(v6) => (find_v6(v6), find_private_v6(v6)),
        };
        // Forbidden first: some metadata addresses lie within private ranges.
        match (forbidden, private) {
            (Some(range), _) => Err(Denied::Forbidden(range)),
            (None, Some(_)) if self.opened.iter().any(|range| range.contains(&address)) => Ok(()),
            (None, Some(range)) => Err(Denied::Private(range)),
            (None, None) => Ok(()),
        }
    }

    /// Judges all addresses of one name: one bad address refuses the name whole, because a name that
    /// is public and private at once is an attack or a mistake.
    ///
    /// # Errors
    /// When a request must not go to one of them.
    pub fn check_all(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), Denied> {
        addresses
            .into_iter()
            .try_for_each(|address| self.check(address))
    }

    /// Judges a host that is written as an address; a name is judged when it is resolved.
    ///
    /// # Errors
    /// When a request must not go there.
    pub fn check_literal(&self, host: &url::Host<&str>) -> Result<(), Denied> {
        match host {
            url::Host::Domain(_) => Ok(()),
            url::Host::Ipv4(address) => self.check(IpAddr::V4(*address)),
            url::Host::Ipv6(address) => self.check(IpAddr::V6(*address)),
        }
    }
}

/// The IPv4 address that an IPv6 one stands for, if it does: mapped, NAT64 and 6to4 addresses are ways
/// of writing an IPv4 address. Everything else stands for itself.
fn judged_as(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let (high, low) = match (a, b) {
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => (g, h),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => (g, h),
        (0x2002, _) => (b, c),
        _ => return address,
    };
    let bits = (u32::from(high) << 16) | u32::from(low);
    IpAddr::V4(Ipv4Addr::from_bits(bits))
}

fn find(ranges: &[(Ipv4Net, &'static str)], address: Ipv4Addr) -> Option<&'static str> {
    let found = ranges.iter().find(|(range, _)| range.contains(&address));
    found.map(|(_, name)| *name)
}

fn find_private_v6(address: Ipv6Addr) -> Option<&'static str> {
    let found = PRIVATE_V6
        .iter()
        .find(|(range, _)| range.contains(&address));
    found.map(|(_, name)| *name)
}

fn find_v6(address: Ipv6Addr) -> Option<&'static str> {
    let found = FORBIDDEN_V6
        .iter()
        .find(|(range, _)| range.contains(&address));
    match found {
        Some((_, name)) => Some(name),
        None if GLOBAL_UNICAST_V6.contains(&address) => None,
        None if find_private_v6(address).is_some() => None,
        None => Some("reserved addresses"),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(segments: [u16; 4], bits: u8) -> Ipv6Net {
    let [a, b, c, d] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), bits)
}

const LOOPBACK: &str = "the loopback range";

const PRIVATE_V4: [(Ipv4Net, &str); 5] = [
    (v4(127, 0, 0, 0, 8), LOOPBACK),
    (v4(10, 0, 0, 0, 8), "10.0.0.0/8"),
    (v4(172, 16, 0, 0, 12), "172.16.0.0/12"),
    (v4(192, 168, 0, 0, 16), "192.168.0.0/16"),
    (v4(100, 64, 0, 0, 10), "100.64.0.0/10"),
];

const PRIVATE_V6: [(Ipv6Net, &str); 2] = [
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), LOOPBACK),
    (v6([0xfc00, 0, 0, 0], 7), "fc00::/7"),
];

const FORBIDDEN_V4: [(Ipv4Net, &str); 12] = [
    (v4(0, 0, 0, 0, 8), "the \"this network\" range"),
    (v4(169, 254, 0, 0, 16), "the link-local and metadata range"),
    (v4(100, 100, 100, 200, 32), "a cloud's metadata address"),
    (v4(168, 63, 129, 16, 32), "a cloud's metadata address"),
    (v4(192, 0, 0, 0, 24), "the protocol assignments range"),
    (v4(192, 0, 2, 0, 24), "a documentation range"),
    (v4(198, 51, 100, 0, 24), "a documentation range"),
    (v4(203, 0, 113, 0, 24), "a documentation range"),
    (v4(192, 88, 99, 0, 24), "the 6to4 relay range"),
    (v4(198, 18, 0, 0, 15), "the benchmark range"),
    (v4(224, 0, 0, 0, 4), "the multicast range"),
    (v4(240, 0, 0, 0, 4), "the reserved and broadcast range"),
];

/// What is assigned for public use; outside of it only the private ranges have a use for us.
const GLOBAL_UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// Of the rest, `::/96` (the unspecified address and the abandoned IPv4-compatible ones), SIIT,
/// `64:ff9b:1::/48`, `100::/64` and `5f00::/16` are covered by "reserved".
const FORBIDDEN_V6: [(Ipv6Net, &str); 8] = [
    (v6([0xfe80, 0, 0, 0], 10), "the link-local range"),
    (v6([0xfec0, 0, 0, 0], 10), "the site-local range"),
    (v6([0xff00, 0, 0, 0], 8), "the multicast range"),
    (v6([0x2001, 0, 0, 0], 23), "the protocol assignments range"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "a documentation range"),
    (v6([0x3fff, 0, 0, 0], 20), "a documentation range"),
    (v6([0xfd00, 0xec2, 0, 0], 32), "a cloud's metadata range"),
    (v6([0xfd20, 0xce, 0, 0], 32), "a cloud's metadata range"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Class {
        Open,
        Private,
        Never,
    }
    use Class::{Never, Open, Private};

    fn class(verdict: Result<(), Denied>) -> Class {
        match verdict {
            Ok(()) => Open,
            Err(Denied::Private(_)) => Private,
            Err(Denied::Forbidden(_)) => Never,
        }
    }

    /// Hosts as a tenant may write them, and their class. Both ends of each range, and its neighbours.
    const HOSTS: [(&str, Class); 96] = [
        ("1.1.1.1", Open),
        ("8.8.8.8", Open),
        ("9.255.255.255", Open),
        ("10.0.0.0", Private),
        ("10.255.255.255", Private),
        ("11.0.0.0", Open),
        ("0.0.0.0", Never),
        ("0.1.2.3", Never),
        ("0", Never),
        ("100.63.255.255", Open),
        ("100.64.0.0", Private),
        ("100.127.255.255", Private),
        ("100.128.0.0", Open),
        ("100.100.100.200", Never),
        ("126.255.255.255", Open),
        ("127.0.0.1", Private),
        ("127.255.255.254", Private),
        ("127.1", Private),
        ("128.0.0.0", Open),
        ("0177.0.0.1", Private),
        ("0x7f.1", Private),
        ("0x7f000001", Private),
        ("2130706433", Private),
        ("017700000001", Private),
        ("１２７.0.0.1", Private),
        ("127。0。0。1", Private),
        ("%31%32%37.0.0.1", Private),
        ("127.0.0.1.", Private),
        ("0xa9fea9fe", Never),
        ("2852039166", Never),
        ("168.63.129.15", Open),
        ("168.63.129.16", Never),
        ("169.253.255.255", Open),
        ("169.254.0.0", Never),
        ("169.254.169.254", Never),
        ("169.254.255.255", Never),
        ("169.255.0.0", Open),
        ("172.15.255.255", Open),
        ("172.16.0.0", Private),
        ("172.31.255.255", Private),
        ("172.32.0.0", Open),
        ("192.0.0.0", Never),
        ("192.0.0.192", Never),
        ("192.0.1.0", Open),
        ("192.0.2.1", Never),
        ("192.88.99.1", Never),
        ("192.167.255.255", Open),
        ("192.168.0.0", Private),
        ("192.168.255.255", Private),
        ("192.169.0.0", Open),
        ("198.17.255.255", Open),
        ("198.18.0.0", Never),
        ("198.19.255.255", Never),
        ("198.51.100.7", Never),
        ("203.0.113.7", Never),
        ("223.255.255.255", Open),
        ("224.0.0.1", Never),
        ("239.255.255.255", Never),
        ("240.0.0.1", Never),
        ("255.255.255.255", Never),
        ("[::]", Never),
        ("[::1]", Private),
        ("[0:0:0:0:0:0:0:1]", Private),
        ("[::2]", Never),
        ("[::127.0.0.1]", Never),
        ("[::8.8.8.8]", Never),
        ("[::ffff:127.0.0.1]", Private),
        ("[::ffff:7f00:1]", Private),
        ("[::ffff:10.1.2.3]", Private),
        ("[::ffff:169.254.169.254]", Never),
        ("[::ffff:8.8.8.8]", Open),
        ("[::ffff:0:127.0.0.1]", Never),
        ("[64:ff9b::127.0.0.1]", Private),
        ("[64:ff9b::a9fe:a9fe]", Never),
        ("[64:ff9b::8.8.8.8]", Open),
        ("[64:ff9b:1::8.8.8.8]", Never),
        ("[2002:7f00:1::]", Private),
        ("[2002:a9fe:a9fe::1]", Never),
        ("[2002:808:808::1]", Open),
        ("[100::1]", Never),
        ("[2001::1]", Never),
        ("[2001:1ff::1]", Never),
        ("[2001:200::1]", Open),
        ("[2001:db8::1]", Never),
        ("[2606:4700::1]", Open),
        ("[3fff::1]", Never),
        ("[4000::1]", Never),
        ("[5f00::1]", Never),
        ("[fc00::1]", Private),
        ("[fdff::1]", Private),
        ("[fd00:ec2::254]", Never),
        ("[fd20:ce::254]", Never),
        ("[fe80::1]", Never),
        ("[fec0::1]", Never),
        ("[ff02::1]", Never),
        ("example.com", Open),
    ];

    fn check(policy: &Policy, host: &str) -> Class {
        let url = url::Url::parse(&format!("http://{host}/")).unwrap();
        class(policy.check_literal(&url.host().unwrap()))
    }

    #[test]
    fn every_spelling_of_an_address_has_the_class_of_the_address() {
        let policy = Policy::default();
        for (host, expected) in HOSTS {
            assert_eq!(check(&policy, host), expected, "{host}");
        }
    }

    #[test]
    fn an_operator_who_opens_everything_opens_what_is_private_and_nothing_else() {
        let everything = ["0.0.0.0/0", "::/0"].map(|range| range.parse().unwrap());
        let policy = Policy::new(everything.to_vec());
        for (host, class) in HOSTS {
            let expected = if class == Never { Never } else { Open };
            assert_eq!(check(&policy, host), expected, "{host}");
        }
    }

    #[test]
    fn an_operator_opens_exactly_the_range_that_is_named() {
        let policy = Policy::new(vec!["10.1.0.0/16".parse().unwrap()]);
        assert_eq!(check(&policy, "10.1.2.3"), Open);
        assert_eq!(check(&policy, "[::ffff:10.1.2.3]"), Open);
        assert_eq!(check(&policy, "10.2.0.0"), Private);
        assert_eq!(check(&policy, "127.0.0.1"), Private);
        assert_eq!(check(&policy, "[fc00::1]"), Private);
    }

    #[test]
    fn a_name_with_one_forbidden_address_is_refused_whole() {
        let policy = Policy::default();
        let names: [(&[&str], Class); 5] = [
            (&["8.8.8.8", "2606:4700::1"], Open),
            (&["8.8.8.8", "127.0.0.1"], Private),
            (&["127.0.0.1", "8.8.8.8"], Private),
            (&["8.8.8.8", "::ffff:169.254.169.254"], Never),
            (&["::1"], Private),
        ];
        for (answers, expected) in names {
            let addresses = answers.iter().map(|text| text.parse().unwrap());
            assert_eq!(class(policy.check_all(addresses)), expected, "{answers:?}");
        }
    }

    #[test]
    fn a_denial_names_the_range_and_not_the_address() {
        let denied = Policy::default().check("10.1.2.3".parse().unwrap());
        let text = denied.unwrap_err().to_string();
        assert!(text.contains("10.0.0.0/8") && !text.contains("10.1.2.3"));
    }
}
