//! What was on its way when its sender ended, and may arrive all the same.

use std::collections::VecDeque;
use std::rc::Rc;

use super::outside::{Letter, Note, Outside, Run};
use super::session::{Order, Sent, Session};
use super::step::Topic;
use crate::park::Refused;

/// What a dead producer had on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Late {
    pub(super) retry: VecDeque<Rc<Run>>,
    pub(super) lanes: VecDeque<Note>,
    pub(super) letters: VecDeque<Letter>,
    /// A request of a session that ended.
    pub(super) request: Option<(i64, i64)>,
}

impl Late {
    pub(super) fn lands(&mut self, topic: Topic, outside: &mut Outside) {
        match topic {
            Topic::Retry => {
                let run = self.retry.pop_front();
                run.map(|run| outside.append(run));
            }
            Topic::Lanes => {
                let note = self.lanes.pop_front();
                note.map(|note| outside.note(&note));
            }
            Topic::DeadLetters => {
                let letter = self.letters.pop_front();
                letter.map(|letter| outside.give_up(letter));
            }
        }
    }
}

/// Everything on its way is refused; what the broker does not have may arrive all the same.
pub(super) fn replace_producer(session: &mut Session, late: &mut Late, outside: &mut Outside) {
    let retry = std::mem::take(&mut session.retry);
    let lanes = std::mem::take(&mut session.lanes);
    let letters = std::mem::take(&mut session.letters);
    let orders = retry.iter().map(|sent| sent.order);
    let orders = orders.chain(lanes.iter().map(|sent| sent.order));
    let orders: Vec<Order> = orders
        .chain(letters.iter().map(|sent| sent.order))
        .collect();
    // Their numbers are not free before all of them are reported.
    let numbers = orders.iter().map(|order| (order.number, i64::MAX));
    session.unsettled.extend(numbers);
    for order in orders {
        session.produced(order, Err(Refused::ProducerReplaced), outside);
    }
    session.unsettled.retain(|(_, last)| *last < i64::MAX);
    late.retry = not_landed(retry);
    late.lanes = not_landed(lanes);
    late.letters = not_landed(letters);
}

fn not_landed<T>(sent: VecDeque<Sent<T>>) -> VecDeque<T> {
    let sent = sent.into_iter().filter(|sent| sent.landed.is_none());
    sent.map(|sent| sent.what).collect()
}
