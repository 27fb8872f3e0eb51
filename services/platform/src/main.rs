//! `kiln`: every part of Kiln in one program, chosen by its first argument.

mod api_document;
mod assemble;
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

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
