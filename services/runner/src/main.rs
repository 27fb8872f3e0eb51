//! `kiln-runner CONTROL_FD [WAITING_PROGRAM]`: process 1 of a sandbox. See the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse());
    let (Some(Ok(descriptor)), Ok(program)) = (arguments.next(), arguments.next().transpose()) else {
        eprintln!("kiln-runner is started by Kiln inside a sandbox, not by hand");
        return ExitCode::from(2);
    };
    match kiln_runner::serve_inherited(descriptor, program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kiln-runner: {error}");
            ExitCode::FAILURE
        }
    }
}
