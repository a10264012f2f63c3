//! The operator's executable, built with the tests so that they always run the code beside them.

use std::process::ExitCode;

fn main() -> ExitCode {
    parcelhook_operator::command::main()
}
