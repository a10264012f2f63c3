//! The links between chosen clients and the brokers: what a network may do to them.
//!
//! Owns what is wrong with whose link now. Clients are told apart by their `client.id`; that of a
//! program's other clients may end in `-part`. Unlike a request that gets lost, nothing that a link
//! holds back is gone: a network that is well again sends it once more, so it arrives late.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use tokio::sync::watch;

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// What the client asks does not come through; what the brokers say does.
    RequestsHeld,
    /// What the brokers say does not come through; what the client asks does.
    AnswersHeld,
    /// Every request takes so much longer.
    Slow(Duration),
    /// Connections end, and new ones do not come about.
    Cut,
}

/// See the module. All brokers of a cluster share one.
#[derive(Debug, Clone, Default)]
pub(super) struct Links(Arc<watch::Sender<BTreeMap<String, Link>>>);

impl Links {
    /// From now on the client's link is so; `None` is well.
    pub(super) fn set(&self, client: &str, link: Option<Link>) {
        self.0.send_modify(|links| match link {
            Some(link) => drop(links.insert(client.to_owned(), link)),
            None => drop(links.remove(client)),
        });
    }

    /// Waits until a request of the client may go on.
    pub(super) async fn request_passes(&self, client: &str) -> Result<()> {
        let mut changes = self.0.subscribe();
        loop {
            let link = of(&changes.borrow_and_update(), client);
            match link {
                Some(Link::RequestsHeld) => changes.changed().await?,
                Some(Link::Slow(by)) => {
                    tokio::time::sleep(by).await;
                    return Ok(());
                }
                Some(Link::Cut) => bail!("the link is cut"),
                Some(Link::AnswersHeld) | None => return Ok(()),
            }
        }
    }

    /// Waits until an answer to the client may go on.
    pub(super) async fn answer_passes(&self, client: &str) -> Result<()> {
        self.until(|links| of(links, client) != Some(Link::AnswersHeld))
            .await
    }

    /// Waits until the client's connections end.
    pub(super) async fn cut(&self, client: &str) -> Result<()> {
        self.until(|links| of(links, client) == Some(Link::Cut))
            .await
    }

    async fn until(&self, holds: impl FnMut(&BTreeMap<String, Link>) -> bool) -> Result<()> {
        self.0.subscribe().wait_for(holds).await?;
        Ok(())
    }
}

fn of(links: &BTreeMap<String, Link>, client: &str) -> Option<Link> {
    let found = links.iter().find(|(name, _)| {
        let rest = client.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    found.map(|(_, link)| *link)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_link_is_that_of_a_client_and_of_its_parts_and_of_nobody_else() {
        let links = Links::default();
        links.set("one-1", Some(Link::AnswersHeld));
        for (client, passes) in [
            ("one-1", false),
            ("one-1-tail", false),
            ("one-12", true),
            ("one", true),
        ] {
            let passed = links.answer_passes(client).now_or_never().is_some();
            assert_eq!(passed, passes, "{client}");
            assert!(links.request_passes(client).now_or_never().is_some());
        }
        links.set("one-1", None);
        assert!(links.answer_passes("one-1").now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_held_goes_on_when_the_link_is_well_and_ends_when_it_is_cut() {
        let links = Links::default();
        links.set("one", Some(Link::RequestsHeld));
        let held = links.request_passes("one");
        let heal = async { links.set("one", None) };
        let (passed, ()) = tokio::join!(held, heal);
        passed.unwrap();
        links.set("one", Some(Link::Cut));
        links.cut("one").await.unwrap();
        assert!(links.request_passes("one").await.is_err());
    }
}
