//! Waiting for a thing itself instead of sleeping and hoping.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::clock;

/// Pause between two looks: short against anything that a test waits for, long against the cost of
/// a look.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `probe` succeeds, and returns what it then saw.
///
/// `probe` says what it saw instead by its error (`ensure!(seen == 5, "saw {seen}")`). It is asked
/// at least once.
///
/// # Errors
/// When `within` has passed: names `what` and the last thing that was seen. A probe that is still
/// under way at the deadline is abandoned.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = clock::now() + within;
    let mut last_seen = anyhow!("nothing: the first look did not come to an end");
    loop {
        match tokio::time::timeout_at(deadline.into(), probe()).await {
            Ok(Ok(seen)) => return Ok(seen),
            Ok(Err(unmet)) => last_seen = unmet,
            Err(_elapsed) => {}
        }
        if clock::now() >= deadline {
            return Err(anyhow!(
                "{what}: not within {within:?}; last seen: {last_seen:#}"
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[tokio::test]
    async fn the_value_is_returned_as_soon_as_the_probe_succeeds() {
        let mut looks = 0;
        let seen = eventually("three looks", Duration::from_secs(30), async || {
            looks += 1;
            ensure!(looks == 3, "looked {looks} times");
            Ok(looks)
        })
        .await
        .unwrap();
        assert_eq!(seen, 3);
    }

    #[tokio::test]
    async fn the_error_names_what_was_awaited_and_what_was_last_seen() {
        let error = eventually("the moon", Duration::ZERO, async || -> Result<()> {
            Err(anyhow!("a cloud"))
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("the moon") && error.contains("a cloud"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_probe_that_hangs_ends_at_the_deadline() {
        let error = eventually("an answer", Duration::from_millis(1), async || {
            std::future::pending::<Result<()>>().await
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(error.contains("did not come to an end"), "{error}");
    }
}
