//! `kiln-runner CONTROL_FD`: process 1 of a sandbox. See the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(descriptor) = std::env::args().nth(1).and_then(|text| text.parse().ok()) else {
        eprintln!("kiln-runner is started by Kiln inside a sandbox, not by hand");
        return ExitCode::from(2);
    };
    match kiln_runner::serve_inherited(descriptor) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kiln-runner: {error}");
            ExitCode::FAILURE
        }
    }
}
