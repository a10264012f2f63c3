//! What the shell around the book promises. The clock is ours, so no test waits for time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::*;
use crate::telemetry::captured::Captured;

/// A clock that stands still until it is moved.
#[derive(Clone)]
struct FakeClock {
    origin: Instant,
    millis: Arc<AtomicU64>,
}

impl FakeClock {
    fn new() -> Self {
        Self {
            origin: crate::clock::now(),
            millis: Arc::default(),
        }
    }

    fn advance(&self, seconds: u64) {
        self.millis.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn background(&self) -> Background {
        let clock = self.clone();
        Background::with_clock(move || {
            clock.origin + Duration::from_millis(clock.millis.load(Ordering::SeqCst))
        })
    }
}

fn broken() {
    panic!("broken invariant");
}

fn seconds(background: &Background, name: &str) -> (u64, u64) {
    let usage = background.totals()[name].usage;
    (
        usage.busy.as_secs(),
        usage.waiting[Cause::Http as usize].as_secs(),
    )
}

#[tokio::test]
async fn a_wait_of_ten_minutes_shows_before_it_ends() {
    let clock = FakeClock::new();
    let background = clock.background();
    let (entered, started) = oneshot::channel();
    let (finish, finished) = oneshot::channel::<()>();
    let busy = clock.clone();
    let mut task = background.spawn("sender", async move {
        busy.advance(5);
        entered.send(()).unwrap();
        waiting(Cause::Http, finished).await.unwrap();
        busy.advance(7);
    });
    started.await.unwrap();
    clock.advance(600);
    assert_eq!(seconds(&background, "sender"), (5, 600));
    assert_eq!(background.totals()["sender"].in_flight, 1);
    clock.advance(60);
    finish.send(()).unwrap();
    assert_eq!(task.ended().await, Ended::Completed);
    assert_eq!(seconds(&background, "sender"), (12, 660));
    assert_eq!(background.totals()["sender"].in_flight, 0);
}

#[tokio::test]
async fn a_wait_that_is_dropped_stops_counting() {
    let clock = FakeClock::new();
    let background = clock.background();
    let (entered, started) = oneshot::channel();
    background.spawn("sender", async move {
        {
            let mut wait = std::pin::pin!(waiting(Cause::Http, std::future::pending::<()>()));
            let _pending = futures::poll!(wait.as_mut());
        }
        entered.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    started.await.unwrap();
    clock.advance(9);
    assert_eq!(seconds(&background, "sender"), (0, 0));
}

#[tokio::test]
async fn waits_outside_of_a_run_are_only_awaited() {
    assert_eq!(waiting(Cause::Http, std::future::ready(3)).await, 3);
    assert_eq!(blocked(Cause::Fetch, || 4), 4);
}

#[tokio::test]
async fn a_failure_is_logged_with_the_name_and_counted() {
    let lines = Captured::default();
    let _guard = lines.capture();
    let background = Background::new();
    let mut task = background.spawn("refresher", async {
        tracing::info!("at work");
        Err(io::Error::other("disk is full"))
    });
    assert_eq!(task.ended().await, Ended::Failed);
    assert_eq!(
        background.totals()["refresher"].ended[Ended::Failed as usize],
        1
    );
    let text = lines.text();
    let contexts = text.matches("background{task=\"refresher-1\"}").count();
    assert_eq!(contexts, 2, "every line of the run has its context: {text}");
    assert!(text.contains("disk is full"), "{text}");
}

#[tokio::test]
async fn a_panic_is_caught_logged_and_counted() {
    let lines = Captured::default();
    let _guard = lines.capture();
    let background = Background::new();
    let mut task = background.spawn("refresher", async { broken() });
    assert_eq!(task.ended().await, Ended::Panicked);
    assert_eq!(
        background.totals()["refresher"].ended[Ended::Panicked as usize],
        1
    );
    assert!(
        lines.text().contains("broken invariant"),
        "{}",
        lines.text()
    );
}

#[tokio::test]
async fn a_thread_that_panics_only_ends_itself() {
    let background = Background::new();
    let mut task = background.thread("poller", broken).unwrap();
    assert_eq!(task.ended().await, Ended::Panicked);
}

#[tokio::test]
async fn a_thread_is_busy_except_while_it_is_blocked() {
    let clock = FakeClock::new();
    let background = clock.background();
    let thread_clock = clock.clone();
    let mut task = background
        .thread("poller", move || {
            thread_clock.advance(2);
            blocked(Cause::Http, || thread_clock.advance(30));
            thread_clock.advance(3);
        })
        .unwrap();
    assert_eq!(task.ended().await, Ended::Completed);
    assert_eq!(seconds(&background, "poller"), (5, 30));
}

#[tokio::test]
async fn a_thread_beside_a_run_is_counted_where_the_run_is() {
    let background = Background::new();
    let mut run = background
        .thread("caller", || beside("beside", || ()).unwrap())
        .unwrap();
    assert_eq!(run.ended().await, Ended::Completed);
    let leftover = background
        .shutdown(crate::clock::now() + Duration::from_secs(30))
        .await;
    assert_eq!(leftover, Leftover::default());
    assert_eq!(background.totals()["beside"].started, 1);
}

#[test]
fn a_thread_beside_no_run_runs_all_the_same() {
    let (done, ended) = std::sync::mpsc::sync_channel(1);
    beside("beside", move || done.send(())).unwrap();
    assert_eq!(ended.recv(), Ok(()));
}

#[tokio::test]
async fn a_runtime_thread_drives_tasks_that_cannot_leave_it() {
    let background = Background::new();
    let inner = background.clone();
    let mut task = background
        .runtime("shard", move || async move {
            let here = std::rc::Rc::new(());
            let mut local = inner.spawn_local("lane", async move { drop(here) });
            assert_eq!(local.ended().await, Ended::Completed);
        })
        .unwrap();
    assert_eq!(task.ended().await, Ended::Completed);
    assert_eq!(background.totals()["lane"].started, 1);
}

#[tokio::test]
async fn shutdown_waits_for_work_that_ends_when_asked() {
    let background = Background::new();
    let stopping = background.stopping();
    background.spawn("polite", stopping);
    let thread = background.clone();
    background
        .runtime(
            "polite-thread",
            move || async move { thread.stopping().await },
        )
        .unwrap();
    let deadline = crate::clock::now() + Duration::from_secs(3600);
    assert_eq!(background.shutdown(deadline).await, Leftover::default());
    assert!(background.is_stopping());
}

#[tokio::test]
async fn shutdown_cancels_what_is_left_at_the_deadline() {
    let background = Background::new();
    let (held, dropped) = oneshot::channel::<()>();
    background.spawn("deaf", async move {
        let _held = held;
        std::future::pending::<()>().await;
    });
    let leftover = background.shutdown(crate::clock::now()).await;
    assert_eq!(leftover.cancelled, ["deaf-1"]);
    assert_eq!(leftover.still_running, [""; 0]);
    assert!(dropped.await.is_err(), "the task's state was dropped");
    let totals = background.totals()["deaf"];
    assert_eq!(totals.ended[Ended::Cancelled as usize], 1);
}

#[tokio::test]
async fn nothing_starts_after_shutdown_cancelled_the_rest() {
    let background = Background::new();
    background.spawn("deaf", std::future::pending::<()>());
    let _leftover = background.shutdown(crate::clock::now()).await;
    let mut late = background.spawn("late", std::future::pending::<()>());
    assert_eq!(late.ended().await, Ended::Cancelled);
}

#[tokio::test]
async fn shutdown_names_the_thread_that_does_not_end() {
    let background = Background::new();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let mut task = background
        .thread("stuck", move || {
            let _released = released.recv();
        })
        .unwrap();
    let leftover = background.shutdown(crate::clock::now()).await;
    assert_eq!(leftover.still_running, ["stuck-1"]);
    drop(release);
    assert_eq!(task.ended().await, Ended::Completed);
}

#[test]
fn a_run_whose_runtime_goes_away_is_closed() {
    let background = Background::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        background.spawn("orphan", std::future::pending::<()>());
    });
    drop(runtime);
    let totals = background.totals()["orphan"];
    assert_eq!(totals.in_flight, 0);
    assert_eq!(totals.ended[Ended::Cancelled as usize], 1);
}

#[tokio::test]
async fn a_task_can_be_cancelled_by_the_one_who_started_it() {
    let background = Background::new();
    let mut task = background.spawn("long", std::future::pending::<()>());
    task.cancel();
    assert_eq!(task.ended().await, Ended::Cancelled);
}
