//! Where children are started, so that they die with this process, also when it is killed.
//!
//! The kernel sends a child its parent-death signal when the *thread* that started it ends. Tests
//! run on threads that come and go, so one thread that lives as long as the process starts them
//! all.

use std::{
    ffi::OsString,
    io,
    process::{Child, Command},
    sync::{
        OnceLock,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use anyhow::{Context as _, Result, anyhow};

/// Births under way at once. Callers wait their turn, a birth takes a millisecond.
const WAITING: usize = 16;

struct Birth {
    command: Command,
    born: SyncSender<io::Result<Child>>,
}

/// Starts `program` with `arguments` in such a way that it is killed when this process ends.
///
/// `prepare` adds the environment, the working directory and the standard streams.
pub(super) fn start(
    program: OsString,
    arguments: Vec<OsString>,
    prepare: impl FnOnce(&mut Command),
) -> Result<Child> {
    let mut command = dying_with_us();
    command.arg(program).args(arguments);
    prepare(&mut command);
    let (born, birth) = sync_channel(1);
    nursery()?
        .send(Birth { command, born })
        .map_err(|_| anyhow!("the nursery's thread has ended"))?;
    let child = birth.recv().context("the nursery's thread has ended")?;
    child.context("start setpriv")
}

/// The start of a command line: what follows is executed with a parent-death signal of KILL.
///
/// When this process dies before `setpriv` has asked for the signal, it would never come.
/// Therefore a shell looks once more whose child it is, and only then becomes the program. The
/// process id stays the same all the way.
fn dying_with_us() -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args(["sh", "-c", r#"[ "$PPID" = "$0" ] && exec "$@""#])
        .arg(std::process::id().to_string());
    command
}

fn nursery() -> Result<&'static SyncSender<Birth>> {
    static NURSERY: OnceLock<Result<SyncSender<Birth>, String>> = OnceLock::new();
    NURSERY
        .get_or_init(|| {
            let (births, orders) = sync_channel(WAITING);
            thread::Builder::new()
                .name("nursery".to_owned())
                .spawn(move || live(&orders))
                .map_err(|error| error.to_string())?;
            Ok(births)
        })
        .as_ref()
        .map_err(|error| anyhow!("start the nursery's thread: {error}"))
}

/// Serves until the process ends: the sender is never dropped.
fn live(orders: &Receiver<Birth>) {
    while let Ok(Birth { mut command, born }) = orders.recv() {
        // A caller that has gone away drops its child's handle; the child dies with us.
        let _ = born.send(command.spawn());
    }
}
