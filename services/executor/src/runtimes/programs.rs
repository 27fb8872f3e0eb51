//! The languages beside Python: bash and node, each where the machine has it.

use std::path::{Path, PathBuf};

use kiln_domain::Runtime;

use super::interpreter::ask;
use crate::sandbox::{Bind, RuntimeCommand};

struct Language {
    id: &'static str,
    title: &'static str,
    language: &'static str,
    ask_version: &'static [&'static str],
    /// Between the program and the script.
    flags: &'static [&'static str],
    script_name: &'static str,
}

const LANGUAGES: [Language; 2] = [
    Language {
        id: "bash",
        title: "Bash",
        language: "bash",
        ask_version: &["--noprofile", "--norc", "-c", "printf %s \"${BASH_VERSION%%(*}\""],
        flags: &["--noprofile", "--norc"],
        script_name: "main.sh",
    },
    Language {
        id: "node",
        title: "Node.js",
        language: "javascript",
        ask_version: &["-p", "process.versions.node"],
        flags: &[],
        script_name: "main.js",
    },
];

/// Those that are found in the directories and say their version.
pub async fn find(directories: &[PathBuf]) -> Vec<(Runtime, RuntimeCommand)> {
    let mut found = Vec::new();
    for language in &LANGUAGES {
        let candidates =
            directories.iter().filter(|directory| directory.is_absolute()).map(|directory| directory.join(language.id));
        let Some(program) = candidates.filter_map(|path| std::fs::canonicalize(path).ok()).find(|path| path.is_file()) else {
            continue;
        };
        if let Some(offer) = offer(language, &program).await {
            found.push(offer);
        }
    }
    found
}

async fn offer(language: &Language, program: &Path) -> Option<(Runtime, RuntimeCommand)> {
    let answer = match ask(program, language.ask_version).await {
        Ok(answer) => String::from_utf8_lossy(&answer).trim().to_owned(),
        Err(error) => {
            tracing::warn!(path = %program.display(), error = &error as &dyn std::error::Error, "a program is left out");
            return None;
        }
    };
    if answer.is_empty() || answer.len() > 64 {
        return None;
    }
    let runtime = Runtime {
        id: language.id.to_owned(),
        language: language.language.to_owned(),
        title: format!("{} {answer}", language.title),
        version: answer,
        aliases: Vec::new(),
        packages: Vec::new(),
        default: false,
        available: true,
    };
    Some((runtime, command(language, program)?))
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
    Some(RuntimeCommand { argv, roots, env: Vec::new(), script_name: language.script_name.to_owned() })
}
