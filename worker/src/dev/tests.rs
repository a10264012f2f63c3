//! The demo as a whole, around a worker that only pretends.

use std::sync::Mutex;

use super::*;

/// Reports that a pretended worker gives before the person ends the demo.
const REPORTS: usize = 3;

/// A worker that knows one target and delivers nothing.
struct Pretended {
    surroundings: Surroundings,
    reports: Mutex<usize>,
    log: Log,
}

/// What pretended workers of one test did.
#[derive(Clone)]
struct Log(&'static watch::Sender<Vec<String>>);

impl Log {
    fn add(&self, line: String) {
        self.0.send_modify(|lines| lines.push(line));
    }
}

thread_local! {
    static LOG: Log = Log(Box::leak(Box::new(watch::Sender::new(Vec::new()))));
}

impl DemoWorker for Pretended {
    async fn start(
        surroundings: Surroundings,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        if surroundings.admin_listen.port() == 1 {
            return Err("port 1 is taken".into());
        }
        let log = LOG.with(Log::clone);
        let manifests = manifests::topics_in(&surroundings.targets)?;
        log.add(format!("started with {manifests:?}"));
        Ok(Self {
            surroundings,
            reports: Mutex::new(0),
            log,
        })
    }

    async fn report(&self) -> WorkerReport {
        let mut reports = self.reports.lock().unwrap();
        *reports += 1;
        self.log.add(format!("report {reports}"));
        let mut report = sample::report();
        report.source.joined = *reports > 1;
        report
    }

    fn admin_address(&self) -> SocketAddr {
        SocketAddr::new(self.surroundings.admin_listen.ip(), 8080)
    }

    async fn stop(self) {
        self.log.add("stopped".to_owned());
    }
}

fn options(targets: Option<PathBuf>) -> DevOptions {
    DevOptions {
        rate: 20,
        size: 256,
        targets,
        admin_listen: ([127, 0, 0, 1], 0).into(),
    }
}

/// Plays until the third report; what was shown, and what the worker did.
async fn demo(options: &DevOptions, out: impl Write) -> (Result<(), DevError>, Vec<String>) {
    let log = LOG.with(Log::clone);
    let mut lines = log.0.subscribe();
    let folder = Folder::create().unwrap();
    let mut screen = Screen::new(out, Kind::Plain);
    let ending = async {
        let last = format!("report {REPORTS}");
        let found = lines.wait_for(|lines| lines.contains(&last)).await;
        drop(found.unwrap());
    };
    let result = play::<Pretended>(options, &folder, &mut screen, ending).await;
    (result, log.0.borrow().clone())
}

#[tokio::test]
async fn the_demo_shows_the_targets_and_stops_the_worker_at_the_end() {
    let mut out = Vec::new();
    let (result, log) = demo(&options(None), &mut out).await;
    result.unwrap();
    let shown = String::from_utf8(out).unwrap();
    for expected in [
        "not for real data",
        "http://127.0.0.1:8080/targets",
        "first events delivered",
        "flaky is DOWN: HTTP 503",
        "steady   UP",
        "joining the consumer group",
        "The demo has ended.",
    ] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    assert_eq!(log[0], r#"started with {"orders", "payments"}"#);
    assert_eq!(log.last().unwrap(), "stopped");
}

#[tokio::test]
async fn a_folder_of_ones_own_is_used_and_left_as_it_was() {
    let own = tempfile::tempdir().unwrap();
    let manifest = own.path().join("crm.yaml");
    std::fs::write(&manifest, "spec: {sources: [{topic: invoices}]}").unwrap();
    let mut out = Vec::new();
    let (result, log) = demo(&options(Some(own.path().to_owned())), &mut out).await;
    result.unwrap();
    assert_eq!(log[0], r#"started with {"invoices"}"#);
    assert_eq!(
        std::fs::read_to_string(manifest).unwrap(),
        "spec: {sources: [{topic: invoices}]}"
    );
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_demo_well() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (result, log) = demo(&options(None), Closed).await;
    result.unwrap();
    assert_eq!(log.last().unwrap(), "stopped");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let missing = options(Some("/no/such/folder".into()));
    let too_much = DevOptions {
        rate: 100_000,
        ..options(None)
    };
    let taken = DevOptions {
        admin_listen: ([127, 0, 0, 1], 1).into(),
        ..options(None)
    };
    for (options, expected) in [
        (missing, "cannot read --targets /no/such/folder: "),
        (too_much, "--rate 100000: give 1 to 150"),
        (taken, "the worker did not start: port 1 is taken"),
    ] {
        let (result, _) = demo(&options, Vec::new()).await;
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
