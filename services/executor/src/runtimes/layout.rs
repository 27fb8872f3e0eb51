//! How an interpreter looks from inside a sandbox, and the small files of Kiln's own that this takes.
//!
//! A program sees the standard library and the packages of its runtime, not what the operator happens to have
//! installed: an interpreter with a prefix of its own is bound at `/kiln/python3.N` with its site-packages covered;
//! one of the system's, which every sandbox shows under /usr, is used through an empty virtual environment.
//! The interpreter runs the script itself. `-s` and the site-packages of Kiln's choosing are what keeps a poisoned
//! working directory out of start-up: Python puts that directory on `sys.path` only after `site` is done.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::interpreter::Interpreter;
use super::tiers;
use crate::sandbox::{Bind, RuntimeCommand, Tier};

const DRIVER: &str = include_str!("../../../runner/driver/python.py");
const DRIVER_HOOK: &str = "import kiln_driver\n";
/// Costs nothing but where the sandbox makes the interpreter a zygote.
const ZYGOTE_HOOK: &str =
    "import os; exec(open(os.environ['KILN_ZYGOTE']).read(), {}) if 'KILN_ZYGOTE' in os.environ else None\n";
/// A session's kernel, by the names of its files below [`KERNEL`].
const KERNEL_FILES: [(&str, &str); 10] = [
    ("main.py", include_str!("../../../runner/driver/kernel/main.py")),
    ("kiln_kernel/__init__.py", include_str!("../../../runner/driver/kernel/kiln_kernel/__init__.py")),
    ("kiln_kernel/channel.py", include_str!("../../../runner/driver/kernel/kiln_kernel/channel.py")),
    ("kiln_kernel/ipython.py", include_str!("../../../runner/driver/kernel/kiln_kernel/ipython.py")),
    ("kiln_kernel/plain.py", include_str!("../../../runner/driver/kernel/kiln_kernel/plain.py")),
    ("kiln_kernel/serve.py", include_str!("../../../runner/driver/kernel/kiln_kernel/serve.py")),
    ("kiln_kernel/shells.py", include_str!("../../../runner/driver/kernel/kiln_kernel/shells.py")),
    ("kiln_kernel/show.py", include_str!("../../../runner/driver/kernel/kiln_kernel/show.py")),
    ("kiln_kernel/standard_input.py", include_str!("../../../runner/driver/kernel/kiln_kernel/standard_input.py")),
    ("kiln_kernel/streams.py", include_str!("../../../runner/driver/kernel/kiln_kernel/streams.py")),
];
/// Makes the shell ahead, in a zygote.
const KERNEL_WARM: (&str, &str) = ("kiln_kernel/warm.py", include_str!("../../../runner/driver/kernel/kiln_kernel/warm.py"));
/// Where the kernel is in a sandbox.
const KERNEL: &str = "/kiln/kernel";
/// Descriptor of the display pipe in the program's process.
const DISPLAY_FD: &str = "3";
/// Where the sandbox shows what is bound into it.
const ROOT: &str = "/kiln";

/// The directory with the files that are bound into sandboxes beside the interpreters themselves.
#[derive(Debug, Clone)]
pub struct Layout {
    directory: PathBuf,
}

impl Layout {
    /// Writes the files, readable for every user, as sandboxes run under other ones.
    pub fn create(directory: PathBuf) -> std::io::Result<Self> {
        let layout = Self { directory };
        make_directory(&layout.directory)?;
        write(&layout.plain_site().join("kiln.pth"), ZYGOTE_HOOK)?;
        write(&layout.driver(), DRIVER)?;
        write(&layout.driver_site().join("kiln.pth"), DRIVER_HOOK)?;
        write(&layout.driver_site().join("kiln_driver.py"), DRIVER)?;
        for (name, text) in KERNEL_FILES.into_iter().chain([KERNEL_WARM]) {
            write(&layout.kernel_directory().join(name), text)?;
        }
        Ok(layout)
    }

    fn driver(&self) -> PathBuf {
        self.directory.join("driver/kiln_driver.py")
    }

    fn kernel_directory(&self) -> PathBuf {
        self.directory.join("kernel")
    }

    fn plain_site(&self) -> PathBuf {
        self.directory.join("site/plain")
    }

    fn driver_site(&self) -> PathBuf {
        self.directory.join("site/driver")
    }

    /// The interpreter with its standard library alone.
    pub fn plain(&self, interpreter: &Interpreter) -> std::io::Result<RuntimeCommand> {
        let home = Path::new(ROOT).join(interpreter.id());
        let roots = if interpreter.is_systems() {
            let environment = self.directory.join("environments").join(interpreter.id());
            write_environment(&environment, interpreter)?;
            let site = site_packages(&environment, interpreter);
            if needs_driver(interpreter) {
                write(&site.join("kiln.pth"), DRIVER_HOOK)?;
                write(&site.join("kiln_driver.py"), DRIVER)?;
            } else {
                write(&site.join("kiln.pth"), ZYGOTE_HOOK)?;
            }
            vec![Bind { source: environment, target: home.clone() }]
        } else {
            self.bound(interpreter)
        };
        let program =
            if interpreter.is_systems() { home.join("bin").join(interpreter.id()) } else { program_in_sandbox(interpreter) };
        Ok(command(&program, interpreter, roots, Vec::new(), vec![tiers::plain()]))
    }

    /// A finished environment named `id`, run by the interpreter that it was made for.
    pub fn environment(&self, id: &str, directory: &Path, interpreter: &Interpreter) -> RuntimeCommand {
        let home = Path::new(ROOT).join(id);
        let mut roots = if interpreter.is_systems() { Vec::new() } else { self.bound(interpreter) };
        roots.push(Bind { source: directory.to_owned(), target: home.clone() });
        let driver = site_packages(&home, interpreter).join("kiln_driver.py");
        roots.push(Bind { source: self.driver(), target: driver });
        let env = [
            ("KILN_DISPLAY_FD", DISPLAY_FD),
            ("MPLBACKEND", "agg"),
            ("PLOTLY_RENDERER", "plotly_mimetype"),
            // A run has one core unless it asks for more, and a thread per core of the host would meet its limit of pids.
            ("OPENBLAS_NUM_THREADS", "1"),
            ("OMP_NUM_THREADS", "1"),
        ];
        let program = home.join("bin").join(interpreter.id());
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        command(&program, interpreter, roots, env, tiers::environment())
    }

    /// The interpreter of a runtime as that of its sessions.
    pub fn kernel(&self, runtime: &RuntimeCommand) -> RuntimeCommand {
        let mut roots = runtime.roots.clone();
        roots.push(Bind { source: self.kernel_directory(), target: PathBuf::from(KERNEL) });
        let is_environment = runtime.env.iter().any(|(name, _)| name == "KILN_DISPLAY_FD");
        let mut env = runtime.env.clone();
        // Figures are IPython's own affair in a session.
        env.retain(|(name, _)| name != "KILN_DISPLAY_FD" && name != "MPLBACKEND");
        if is_environment {
            env.push(("MPLBACKEND".to_owned(), "module://matplotlib_inline.backend_inline".to_owned()));
        }
        let tier = if is_environment { tiers::environment_kernel() } else { tiers::plain_kernel() };
        let mut tiers = if runtime.tiers.is_empty() { Vec::new() } else { vec![tier] };
        for tier in &mut tiers {
            tier.env.push(("PYTHONPATH".to_owned(), KERNEL.to_owned()));
        }
        RuntimeCommand { roots, env, script_name: format!("{KERNEL}/main.py"), tiers, ..runtime.clone() }
    }

    /// An interpreter outside /usr: its prefix at a neutral path, its site-packages covered, its libpython at the
    /// absolute path that the executable was linked with.
    fn bound(&self, interpreter: &Interpreter) -> Vec<Bind> {
        let home = Path::new(ROOT).join(interpreter.id());
        let cover = if needs_driver(interpreter) { self.driver_site() } else { self.plain_site() };
        let mut roots = vec![Bind { source: interpreter.prefix.clone(), target: home.clone() }];
        roots.extend(interpreter.site_packages.iter().filter_map(|site| {
            let below = site.strip_prefix(&interpreter.prefix).ok()?;
            Some(Bind { source: cover.clone(), target: home.join(below) })
        }));
        let library = interpreter.library.iter().filter(|library| !library.starts_with("/usr"));
        roots.extend(library.map(|library| Bind { source: library.clone(), target: library.clone() }));
        roots
    }
}

/// Python 3.6 alone keeps an unfinished line of output even with `-u`; the driver mends that.
fn needs_driver(interpreter: &Interpreter) -> bool {
    interpreter.version.minor == 6
}

fn command(
    program: &Path,
    interpreter: &Interpreter,
    roots: Vec<Bind>,
    env: Vec<(String, String)>,
    tiers: Vec<Tier>,
) -> RuntimeCommand {
    // No user site, no byte code beside the user's files, no buffering.
    let mut argv = vec![program.display().to_string()];
    argv.extend(["-s", "-B", "-u"].map(str::to_owned));
    let bin = program.parent().unwrap_or(Path::new(ROOT));
    let mut variables = vec![("PATH".to_owned(), format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))];
    variables.extend(env);
    // Up to 3.7 `sys.argv` is made after the point at which an interpreter waits.
    let takes_arguments = interpreter.version.minor >= 8;
    RuntimeCommand { argv, roots, env: variables, script_name: "main.py".to_owned(), tiers, takes_arguments }
}

/// What makes a directory a virtual environment of the interpreter as sandboxes see it; packages come afterwards.
pub fn write_environment(directory: &Path, interpreter: &Interpreter) -> std::io::Result<()> {
    let program = program_in_sandbox(interpreter);
    let home = program.parent().unwrap_or(Path::new(ROOT));
    write(&directory.join("pyvenv.cfg"), &format!("home = {}\ninclude-system-site-packages = false\n", home.display()))?;
    make_directory(&site_packages(directory, interpreter))?;
    let bin = directory.join("bin");
    make_directory(&bin)?;
    for name in ["python".to_owned(), "python3".to_owned(), interpreter.id()] {
        let link = bin.join(name);
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => symlink(&program, link)?,
        }
    }
    Ok(())
}

/// Hook and place for the driver in an environment; outside of a sandbox the place is an empty module.
pub fn write_driver_place(directory: &Path, interpreter: &Interpreter) -> std::io::Result<()> {
    let site = site_packages(directory, interpreter);
    write(&site.join("kiln_driver.py"), "")?;
    write(&site.join("kiln.pth"), DRIVER_HOOK)
}

/// The interpreter's program as sandboxes see it.
pub fn program_in_sandbox(interpreter: &Interpreter) -> PathBuf {
    match interpreter.executable.strip_prefix(&interpreter.prefix) {
        Ok(below) if !interpreter.is_systems() => Path::new(ROOT).join(interpreter.id()).join(below),
        _ => interpreter.executable.clone(),
    }
}

/// Where an environment below `home` keeps its packages.
pub fn site_packages(home: &Path, interpreter: &Interpreter) -> PathBuf {
    home.join("lib").join(interpreter.id()).join("site-packages")
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// Replaces a file in one step, since sandboxes of another start may have the old one bound.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)?;
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(partial, path)
}
