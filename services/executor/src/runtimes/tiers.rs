//! What the interpreters that wait have imported: the fewer modules, the less a program costs that needs none.

use crate::sandbox::Tier;

/// Of the standard library, what most programs import sooner or later, and what takes longest among that.
const STANDARD: &[&str] = &[
    "collections",
    "copy",
    "datetime",
    "decimal",
    "functools",
    "itertools",
    "json",
    "math",
    "random",
    "re",
    "string",
    "time",
    "traceback",
    "typing",
];

/// The packages of `base`, each tier with those before it.
const PACKAGES: [(&[&str], &[&str]); 3] = [
    (&["numpy", "numpy.random"], &["numpy"]),
    (&["pandas", "matplotlib.pyplot"], &["pandas", "matplotlib"]),
    (
        &[
            "scipy.stats",
            "sklearn.linear_model",
            "seaborn",
            "sympy",
            "PIL.Image",
            "requests",
            "bs4",
            "lxml.etree",
            "pyarrow",
            "openpyxl",
        ],
        &["scipy", "sklearn", "seaborn", "sympy", "PIL", "requests", "bs4", "lxml", "pyarrow", "openpyxl", "xgboost", "lightgbm"],
    ),
];

/// A thread that a library starts when it is imported would be missing in every program: Arrow's for jemalloc, which
/// gives memory back and is not used unless asked for.
const WITHOUT_THREADS: (&str, &str) = ("JE_ARROW_MALLOC_CONF", "background_thread:false");

/// An interpreter with its standard library alone.
pub fn plain() -> Tier {
    Tier { imports: names(STANDARD), env: Vec::new(), serves: Vec::new() }
}

/// An interpreter with the packages of an environment.
pub fn environment() -> Vec<Tier> {
    let mut tiers = vec![plain()];
    for (imports, serves) in PACKAGES {
        let before = tiers.last().map(|tier| tier.imports.clone()).unwrap_or_default();
        let (name, value) = WITHOUT_THREADS;
        tiers.push(Tier {
            imports: before.into_iter().chain(names(imports)).collect(),
            env: vec![(name.to_owned(), value.to_owned())],
            serves: names(serves),
        });
    }
    tiers
}

/// What the kernel of a session itself needs.
const KERNEL: &[&str] = &["asyncio", "ctypes", "subprocess", "kiln_kernel.warm"];

/// A session's interpreter with its standard library alone.
pub fn plain_kernel() -> Tier {
    Tier { imports: STANDARD.iter().chain(KERNEL).map(|&name| name.to_owned()).collect(), ..Tier::default() }
}

/// A session's interpreter in an environment: sessions say nothing ahead of what they import, so what most do.
pub fn environment_kernel() -> Tier {
    let [numpy, pandas, _] = PACKAGES;
    let (name, value) = WITHOUT_THREADS;
    // The shell comes before Matplotlib, which looks for it.
    let imports = STANDARD.iter().chain(KERNEL).chain(numpy.0).chain(pandas.0);
    let env = vec![(name.to_owned(), value.to_owned())];
    Tier { imports: imports.map(|&name| name.to_owned()).collect(), env, serves: Vec::new() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
