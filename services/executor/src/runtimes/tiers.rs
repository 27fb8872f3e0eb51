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

/// An interpreter with its standard library alone.
pub fn plain() -> Tier {
    Tier { imports: names(STANDARD), serves: Vec::new() }
}

/// An interpreter with the packages of an environment.
pub fn environment() -> Vec<Tier> {
    let mut tiers = vec![plain()];
    for (imports, serves) in PACKAGES {
        let before = tiers.last().map(|tier| tier.imports.clone()).unwrap_or_default();
        tiers.push(Tier { imports: before.into_iter().chain(names(imports)).collect(), serves: names(serves) });
    }
    tiers
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
