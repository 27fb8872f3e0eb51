//! `kiln`: every part of Kiln in one program, chosen by its first argument.

mod admin;
mod api_document;
mod assemble;
mod client;
mod command;
mod migrate;
mod output;
mod paths;
mod prerequisite;
mod process;
mod serve;
mod settings;
mod target;
mod up;
mod wait;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread exists: the spawner of sandboxes forks.
    if std::env::args_os().nth(1).is_some_and(|word| word == "sandbox-spawner") {
        kiln_executor::sandbox::spawner_main();
    }
    command::run()
}
