//! The worker's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    parcelhook_worker::command::main()
}
