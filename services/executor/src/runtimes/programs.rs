//! The languages beside Python: bash and node, each where the machine has it.

use std::path::{Path, PathBuf};

use kiln_domain::Runtime;

use super::interpreter::ask;
use super::memory::Memory;
use crate::sandbox::{Bind, RuntimeCommand};

struct Language {
    id: &'static str,
    title: &'static str,
    /// As in [`Runtime::language`].
    name: &'static str,
    ask_version: &'static [&'static str],
    /// Between the program and the script.
    flags: &'static [&'static str],
    script_name: &'static str,
}

const LANGUAGES: [Language; 2] = [
    Language {
        id: "bash",
        title: "Bash",
        name: "bash",
        ask_version: &["--noprofile", "--norc", "-c", "printf %s \"${BASH_VERSION%%(*}\""],
        flags: &["--noprofile", "--norc"],
        script_name: "main.sh",
    },
    Language {
        id: "node",
        title: "Node.js",
        name: "javascript",
        ask_version: &["-p", "process.versions.node"],
        flags: &[],
        script_name: "main.js",
    },
];

/// Those that are found in the directories and say their version. `memory` is the file that keeps the answers.
pub async fn find(directories: &[PathBuf], memory: PathBuf) -> Vec<(Runtime, RuntimeCommand)> {
    let memory = Memory::<String>::load(memory).await;
    let mut found = Vec::new();
    for language in &LANGUAGES {
        let candidates =
            directories.iter().filter(|directory| directory.is_absolute()).map(|directory| directory.join(language.id));
        let Some(program) = candidates.filter_map(|path| std::fs::canonicalize(path).ok()).find(|path| path.is_file()) else {
            continue;
        };
        let Some(version) = memory.recall(&program, async || version(language, &program).await).await else { continue };
        found.extend(command(language, &program).map(|command| (runtime(language, version), command)));
    }
    memory.keep().await;
    found
}

async fn version(language: &Language, program: &Path) -> Option<String> {
    match ask(program, language.ask_version).await {
        Ok(answer) => Some(String::from_utf8_lossy(&answer).trim().to_owned()).filter(|answer| (1..=64).contains(&answer.len())),
        Err(error) => {
            tracing::warn!(path = %program.display(), error = &error as &dyn std::error::Error, "a program is left out");
            None
        }
    }
}

fn runtime(language: &Language, version: String) -> Runtime {
    Runtime {
        id: language.id.to_owned(),
        language: language.name.to_owned(),
        title: format!("{} {version}", language.title),
        version,
        aliases: Vec::new(),
        packages: Vec::new(),
        default: false,
        available: true,
    }
}

/// The system's programs are visible in every sandbox; another is bound at a neutral path, with the prefix it lies in.
fn command(language: &Language, program: &Path) -> Option<RuntimeCommand> {
    let (program, roots) = if program.starts_with("/usr") || program.starts_with("/bin") {
        (program.to_owned(), Vec::new())
    } else {
        let bin = program.parent()?;
        let prefix = bin.parent().filter(|_| bin.ends_with("bin"))?;
        let target = Path::new("/kiln").join(language.id);
        let seen = target.join(program.strip_prefix(prefix).ok()?);
        (seen, vec![Bind { source: prefix.to_owned(), target }])
    };
    let mut argv = vec![program.to_str()?.to_owned()];
    argv.extend(language.flags.iter().map(|&flag| flag.to_owned()));
    let (env, tiers, script_name) = (Vec::new(), Vec::new(), language.script_name.to_owned());
    Some(RuntimeCommand { argv, roots, env, script_name, tiers, takes_arguments: false })
}
