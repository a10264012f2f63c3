//! What an attempt came to. The one place that reads a status code.
//!
//! Two pure functions: [`of_status`] for an attempt that was answered, [`of_fault`] for one that was
//! not. Whatever follows an attempt is decided from the [`Outcome`] alone; the [`Reason`] is for people.

use std::time::Duration;

use parcelhook_crds::compiled::StatusOverride;
use parcelhook_crds::spec::retry::OverrideOutcome;

use super::reason::Reason;

/// The classification of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Outcome {
    /// A 2xx head.
    Delivered,
    /// The target asks for less: 429, or 503 with Retry-After.
    Throttled {
        /// The wait it asked for, already bounded.
        retry_after: Option<Duration>,
    },
    /// The target cannot be reached or answers with a passing fault.
    Unavailable {
        /// The wait it asked for, already bounded.
        retry_after: Option<Duration>,
    },
    /// Somebody must change the configuration, here or there.
    Misconfigured,
    /// 410: the target wants no more.
    Gone,
    /// The events themselves are refused.
    Rejected,
}

/// Why no response head arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The egress policy forbids the address.
    EgressDenied,
    /// The name has no address.
    NameNotResolved,
    /// Nobody listens.
    ConnectionRefused,
    /// No connection, for another cause.
    ConnectFailed,
    /// The deadline, or the bound on connecting, passed.
    Timeout,
    /// TLS ended before it was agreed on.
    TlsHandshake,
    /// The server's certificate does not verify.
    InvalidCertificate,
    /// The server refused the worker's certificate.
    ClientCertificateRefused,
    /// The connection or stream ended before the head.
    ConnectionReset,
    /// What arrived was not a response head.
    MalformedResponse,
    /// Anything else.
    RequestFailed,
}

/// Classifies an attempt that was answered with `status`.
///
/// `retry_after` is the wait that the response asked for, already bounded, and none when the target
/// ignores the header; `overrides` are the target's own. The first that names the status holds.
pub fn of_status(
    status: u16,
    retry_after: Option<Duration>,
    overrides: &[StatusOverride],
) -> (Outcome, Reason) {
    let chosen = overrides.iter().find(|choice| choice.code == status);
    let outcome = match chosen {
        Some(choice) => overridden(choice.outcome, retry_after),
        None => by_table(status, retry_after),
    };
    (outcome, reason(outcome, status))
}

/// Classifies an attempt that got no response head.
pub fn of_fault(fault: Fault) -> (Outcome, Reason) {
    let unavailable = Outcome::Unavailable { retry_after: None };
    match fault {
        Fault::EgressDenied => (Outcome::Misconfigured, Reason::EgressDenied),
        Fault::InvalidCertificate => (Outcome::Misconfigured, Reason::InvalidCertificate),
        Fault::ClientCertificateRefused => {
            (Outcome::Misconfigured, Reason::ClientCertificateRefused)
        }
        Fault::NameNotResolved => (unavailable, Reason::NameNotResolved),
        Fault::ConnectionRefused => (unavailable, Reason::ConnectionRefused),
        Fault::ConnectFailed => (unavailable, Reason::ConnectFailed),
        Fault::Timeout => (unavailable, Reason::Timeout),
        Fault::TlsHandshake => (unavailable, Reason::TlsHandshakeFailed),
        Fault::ConnectionReset => (unavailable, Reason::ConnectionReset),
        Fault::MalformedResponse => (unavailable, Reason::MalformedResponse),
        Fault::RequestFailed => (unavailable, Reason::RequestFailed),
    }
}

fn by_table(status: u16, retry_after: Option<Duration>) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        300..=399 => Outcome::Misconfigured,
        429 => Outcome::Throttled { retry_after },
        503 if retry_after.is_some() => Outcome::Throttled { retry_after },
        410 => Outcome::Gone,
        401 | 402 | 403 | 405 | 407 | 414 | 451 | 501 | 505 => Outcome::Misconfigured,
        404 | 408 | 409 | 421 | 423 | 425 => Outcome::Unavailable { retry_after },
        400..=499 => Outcome::Rejected,
        // 5xx, and what no final response may carry: 1xx and numbers beyond the classes.
        _ => Outcome::Unavailable { retry_after },
    }
}

fn overridden(choice: OverrideOutcome, retry_after: Option<Duration>) -> Outcome {
    match choice {
        OverrideOutcome::Delivered => Outcome::Delivered,
        OverrideOutcome::Throttled => Outcome::Throttled { retry_after },
        OverrideOutcome::Unavailable => Outcome::Unavailable { retry_after },
        OverrideOutcome::Misconfigured => Outcome::Misconfigured,
        OverrideOutcome::Gone => Outcome::Gone,
        OverrideOutcome::Rejected => Outcome::Rejected,
    }
}

fn reason(outcome: Outcome, status: u16) -> Reason {
    match outcome {
        Outcome::Delivered => Reason::Delivered,
        Outcome::Throttled { .. } => Reason::Throttled,
        Outcome::Gone => Reason::Gone,
        Outcome::Rejected => Reason::Rejected,
        Outcome::Misconfigured | Outcome::Unavailable { .. } => match status {
            300..=399 => Reason::Redirected,
            401 | 403 | 407 => Reason::AuthenticationFailed,
            400..=599 => Reason::HttpStatus,
            _ => Reason::MalformedResponse,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Option<Duration> = Some(Duration::from_secs(7));

    /// The table of the README, written out a second time and independently of the code.
    fn expected(status: u16) -> &'static str {
        const TABLE: [(&str, &[u16]); 5] = [
            ("Throttled", &[429]),
            ("Unavailable", &[404, 408, 409, 421, 423, 425]),
            (
                "Misconfigured",
                &[401, 402, 403, 405, 407, 414, 451, 501, 505],
            ),
            ("Gone", &[410]),
            ("Rejected", &[400, 413, 415, 422, 431]),
        ];
        if let Some((word, _)) = TABLE.iter().find(|(_, codes)| codes.contains(&status)) {
            return word;
        }
        match status / 100 {
            2 => "Delivered",
            3 => "Misconfigured",
            4 => "Rejected",
            _ => "Unavailable",
        }
    }

    fn word(outcome: Outcome) -> &'static str {
        match outcome {
            Outcome::Delivered => "Delivered",
            Outcome::Throttled { .. } => "Throttled",
            Outcome::Unavailable { .. } => "Unavailable",
            Outcome::Misconfigured => "Misconfigured",
            Outcome::Gone => "Gone",
            Outcome::Rejected => "Rejected",
        }
    }

    #[test]
    fn every_status_has_the_outcome_of_the_table() {
        for status in 100..=599 {
            let (outcome, _) = of_status(status, None, &[]);
            assert_eq!(word(outcome), expected(status), "status {status}");
        }
    }

    #[test]
    fn a_503_that_names_a_wait_is_throttling_and_one_that_does_not_is_an_outage() {
        assert_eq!(
            of_status(503, WAIT, &[]),
            (Outcome::Throttled { retry_after: WAIT }, Reason::Throttled)
        );
        assert_eq!(
            of_status(503, None, &[]),
            (
                Outcome::Unavailable { retry_after: None },
                Reason::HttpStatus
            )
        );
    }

    #[test]
    fn a_wait_is_carried_by_every_passing_fault() {
        for status in [404, 408, 409, 421, 423, 425, 500, 502, 504] {
            assert_eq!(
                of_status(status, WAIT, &[]).0,
                Outcome::Unavailable { retry_after: WAIT },
                "status {status}"
            );
        }
    }

    #[test]
    fn statuses_have_the_reason_that_helps() {
        for (status, reason) in [
            (101, Reason::MalformedResponse),
            (204, Reason::Delivered),
            (304, Reason::Redirected),
            (307, Reason::Redirected),
            (400, Reason::Rejected),
            (401, Reason::AuthenticationFailed),
            (403, Reason::AuthenticationFailed),
            (404, Reason::HttpStatus),
            (407, Reason::AuthenticationFailed),
            (408, Reason::HttpStatus),
            (410, Reason::Gone),
            (429, Reason::Throttled),
            (500, Reason::HttpStatus),
            (999, Reason::MalformedResponse),
        ] {
            assert_eq!(of_status(status, None, &[]).1, reason, "status {status}");
        }
    }

    #[test]
    fn an_override_moves_its_status_and_no_other() {
        let cases = [
            (OverrideOutcome::Delivered, "Delivered"),
            (OverrideOutcome::Throttled, "Throttled"),
            (OverrideOutcome::Unavailable, "Unavailable"),
            (OverrideOutcome::Misconfigured, "Misconfigured"),
            (OverrideOutcome::Gone, "Gone"),
            (OverrideOutcome::Rejected, "Rejected"),
        ];
        for (chosen, expected_word) in cases {
            for code in 300..=599 {
                let overrides = [StatusOverride {
                    code,
                    outcome: chosen,
                }];
                assert_eq!(word(of_status(code, WAIT, &overrides).0), expected_word);
            }
            let overrides = [StatusOverride {
                code: 409,
                outcome: chosen,
            }];
            for status in (100..=599).filter(|status| *status != 409) {
                assert_eq!(
                    of_status(status, None, &overrides),
                    of_status(status, None, &[])
                );
            }
        }
    }

    #[test]
    fn every_fault_has_its_outcome() {
        let passing = Outcome::Unavailable { retry_after: None };
        for (fault, outcome, reason) in [
            (Fault::EgressDenied, Outcome::Misconfigured, "EgressDenied"),
            (Fault::NameNotResolved, passing, "NameNotResolved"),
            (Fault::ConnectionRefused, passing, "ConnectionRefused"),
            (Fault::ConnectFailed, passing, "ConnectFailed"),
            (Fault::Timeout, passing, "Timeout"),
            (Fault::TlsHandshake, passing, "TLSHandshakeFailed"),
            (
                Fault::InvalidCertificate,
                Outcome::Misconfigured,
                "InvalidCertificate",
            ),
            (
                Fault::ClientCertificateRefused,
                Outcome::Misconfigured,
                "ClientCertificateRefused",
            ),
            (Fault::ConnectionReset, passing, "ConnectionReset"),
            (Fault::MalformedResponse, passing, "MalformedResponse"),
            (Fault::RequestFailed, passing, "RequestFailed"),
        ] {
            let (got, why) = of_fault(fault);
            assert_eq!((got, why.as_str()), (outcome, reason), "{fault:?}");
        }
    }
}
