//! The operator's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    parcelhook_operator::command::main()
}
