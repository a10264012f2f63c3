//! How a receiver behaves: a pure choice of a reply, given the number of the request and the time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long [`Mood::Flapping`] stays up, and then down: near the backoff, so that attempts meet both.
const FLAP: Duration = Duration::from_millis(700);
/// Of how many requests [`Mood::Shaky`] spoils one.
const SHAKY: u64 = 9;
/// Longer than usual, shorter than the worker waits.
const SLOW: Duration = Duration::from_millis(250);
/// Longer than the worker waits.
const TOO_SLOW: Duration = Duration::from_secs(8);
/// What `Retry-After` asks for, seconds.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Mood {
    /// 200 at once.
    Healthy,
    /// Healthy and 503 in turns.
    Flapping,
    /// Healthy, but now and then a request is processed and answered with 500.
    Shaky,
    /// 503, nothing is processed.
    Unavailable,
    /// Reads the request and never answers, nothing is processed.
    Hanging,
    /// Nobody listens.
    Refusing,
    /// 429 with `Retry-After`.
    Throttling,
    /// Processes every other request, and answers 500 to all.
    Ambiguous,
    /// Processes the request, then resets the connection without an answer.
    ResetBeforeHead,
    /// Processes the request, and resets the connection after the head of a 200.
    ResetAfterHead,
    /// Healthy, but takes its time.
    Slow,
    /// Processes the request, but answers when the worker has given up.
    TooSlow,
    /// Healthy, but refuses requests with an event that is poison, and processes nothing of them.
    Poison,
    /// Processes the request, but its answer ends within its first line.
    Truncated,
    /// Processes the request and says so, but its body takes longer than the worker waits.
    SlowBody,
}

/// What is asked of a receiver.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// The number of the request, from 0.
    pub(crate) number: u64,
    /// How long after the receiver's start it came.
    pub(crate) since_start: Duration,
    /// Whether one of its events is poison.
    pub(crate) is_poison: bool,
}

/// What follows a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Whether the receiver takes the events, whatever it then says.
    pub(crate) processed: bool,
    /// How long it takes.
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

/// How the exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With this status.
    Status(u16),
    /// With a reset, before any answer.
    Reset,
    /// With the head of a 200 that promises a body, then a reset.
    HeadThenReset,
    /// With the head of a 200 and a body that comes byte by byte and never ends.
    HeadThenTrickle,
    /// Within the first line of an answer.
    HalfALine,
    /// Only when the client hangs up.
    Never,
}

impl Mood {
    /// Those that a fault can bring.
    pub(crate) const DISTURBED: [Self; 12] = [
        Self::Unavailable,
        Self::Hanging,
        Self::Refusing,
        Self::Throttling,
        Self::Ambiguous,
        Self::ResetBeforeHead,
        Self::ResetAfterHead,
        Self::Slow,
        Self::TooSlow,
        Self::Poison,
        Self::Truncated,
        Self::SlowBody,
    ];

    /// The reply to a request.
    pub(crate) fn reply(self, asked: Asked) -> Reply {
        let Asked {
            number,
            since_start,
            is_poison,
        } = asked;
        let status = |processed, status| Reply {
            processed,
            delay: Duration::ZERO,
            ending: Ending::Status(status),
        };
        match self {
            Self::Poison if is_poison => status(false, 422),
            Self::Healthy | Self::Poison => status(true, 200),
            Self::Flapping => {
                let is_up = (since_start.as_millis() / FLAP.as_millis()).is_multiple_of(2);
                if is_up {
                    status(true, 200)
                } else {
                    status(false, 503)
                }
            }
            Self::Shaky if number % SHAKY == SHAKY - 1 => status(true, 500),
            Self::Shaky => status(true, 200),
            Self::Unavailable | Self::Refusing => status(false, 503),
            Self::Throttling => status(false, 429),
            Self::Ambiguous => status(number.is_multiple_of(2), 500),
            Self::Hanging => Reply {
                ending: Ending::Never,
                ..status(false, 200)
            },
            Self::ResetBeforeHead => Reply {
                ending: Ending::Reset,
                ..status(true, 200)
            },
            Self::ResetAfterHead => Reply {
                ending: Ending::HeadThenReset,
                ..status(true, 200)
            },
            Self::Truncated => Reply {
                ending: Ending::HalfALine,
                ..status(true, 200)
            },
            Self::SlowBody => Reply {
                ending: Ending::HeadThenTrickle,
                ..status(true, 200)
            },
            Self::Slow => Reply {
                delay: SLOW,
                ..status(true, 200)
            },
            Self::TooSlow => Reply {
                delay: TOO_SLOW,
                ..status(true, 200)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disturbance_differs_from_health() {
        for mood in Mood::DISTURBED {
            let asked = Asked {
                is_poison: true,
                ..Asked::default()
            };
            assert_ne!(mood.reply(asked), Mood::Healthy.reply(asked), "{mood:?}");
        }
    }

    #[test]
    fn what_is_up_now_and_then_is_both() {
        for mood in [Mood::Flapping, Mood::Shaky] {
            let at = |number: u64| {
                mood.reply(Asked {
                    number,
                    since_start: FLAP * u32::try_from(number).unwrap(),
                    is_poison: false,
                })
            };
            let replies: Vec<_> = (0..SHAKY).map(|number| at(number).ending).collect();
            assert!(replies.contains(&Ending::Status(200)));
            assert!(replies.iter().any(|ending| *ending != Ending::Status(200)));
        }
    }
}
