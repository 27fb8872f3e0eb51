//! Figures of `base`. The environment is made on first use, in the cache of the user who runs the tests.

use std::time::Duration;

use kiln_executor::runtimes::{Resolved, Runtimes, RuntimesConfig};
use kiln_executor::sandbox::RunSpec;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, Outcome, Seen, file, finish, fixture, spec};

const BUILD: Duration = Duration::from_mins(20);
const MIB: u64 = 1 << 20;

async fn base(fixture: &Fixture) -> Resolved {
    let runtimes = Runtimes::open(RuntimesConfig::new(fixture.data_dir.join("data"))).await.unwrap();
    timeout(BUILD, runtimes.build(CancellationToken::new())).await.expect("base is made in time");
    runtimes.resolve("base").unwrap()
}

fn program(code: &str) -> RunSpec {
    let mut spec = spec(code);
    spec.limits.memory_bytes = 512 * MIB;
    spec
}

async fn run(fixture: &Fixture, base: &Resolved, spec: RunSpec) -> Outcome {
    assert!(fixture.sandboxes.prepare_for(&spec, &base.command).await);
    let outcome = finish(fixture.sandboxes.start(spec, &base.command).await.unwrap()).await;
    assert_eq!(outcome.end.start, crate::START);
    outcome
}

/// The first bytes of each picture's base64, and the text in its place.
fn figures(outcome: &Outcome) -> Vec<(String, String)> {
    let shown = outcome.events.iter().filter_map(|event| match event {
        Seen::Display(output) => {
            assert_eq!(output.get("output_type").unwrap(), "display_data");
            let data = output.get("data").unwrap();
            let text = |mime: &str| data.get(mime).unwrap().as_str().unwrap().to_owned();
            Some((text("image/png").chars().take(11).collect(), text("text/plain")))
        }
        Seen::Output(..) | Seen::Waiting(_) => None,
    });
    shown.collect()
}

fn png(width: u32, height: u32) -> (String, String) {
    ("iVBORw0KGgo".to_owned(), format!("<Figure size {width}x{height} with 1 Axes>"))
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_sent_once_each_in_order_however_the_program_ends() {
    let Some(fixture) = fixture("programs-figures").await else { return };
    let base = base(&fixture).await;
    let draw = "import matplotlib.pyplot as plt\nplt.subplots(figsize=(1, 1))\nplt.subplots(figsize=(2, 1))\n";

    let shown =
        run(&fixture, &base, program(&format!("{draw}plt.show()\nplt.show()\nplt.subplots(figsize=(3, 1))\n"))).await.succeeded();
    assert_eq!(figures(&shown), [png(100, 100), png(200, 100), png(300, 100)]);
    assert_eq!((shown.stdout().as_str(), shown.stderr().as_str()), ("", ""));

    let failed = run(&fixture, &base, program(&format!("{draw}1 / 0"))).await;
    assert_eq!(figures(&failed), [png(100, 100), png(200, 100)]);
    let stderr = failed.stderr();
    assert!(
        stderr.starts_with("Traceback (most recent call last):\n  File \"/workspace/main.py\", line 4, in <module>\n"),
        "{stderr}"
    );
    assert!(stderr.ends_with("ZeroDivisionError: division by zero\n") && stderr.matches("File").count() == 1, "{stderr}");
    assert_eq!(failed.ended().exit_code, Some(1));

    let exited = run(&fixture, &base, program(&format!("{draw}raise SystemExit(3)"))).await;
    assert_eq!(figures(&exited), [png(100, 100), png(200, 100)]);
    assert_eq!(exited.ended().exit_code, Some(3));

    let single = "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\nf, a = plt.subplots(figsize=(1, 1))\nf.show()\n";
    assert_eq!(figures(&run(&fixture, &base, program(single)).await.succeeded()), [png(100, 100)]);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_in_the_working_directory_change_nothing() {
    let Some(fixture) = fixture("programs-settings").await else { return };
    let base = base(&fixture).await;
    let files =
        vec![file("matplotlibrc", b"figure.dpi: 30\nbackend: module://poison\n"), file("poison.py", b"print('POISON')\n")];
    let code = "import matplotlib\nprint(matplotlib.rcParams['figure.dpi'])\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\nprint(matplotlib.get_backend().lower())";
    let outcome = run(&fixture, &base, RunSpec { files, ..program(code) }).await.succeeded();
    assert_eq!((outcome.stdout().as_str(), outcome.stderr().as_str()), ("100.0\nagg\n", ""));
    assert_eq!(figures(&outcome).len(), 1);
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_package_works_and_children_have_them_too() {
    let Some(fixture) = fixture("programs-packages").await else { return };
    let base = base(&fixture).await;
    let code = "import numpy, pandas, scipy.stats, sklearn.linear_model, seaborn, sympy, PIL.Image, requests, bs4, lxml.etree, pyarrow, openpyxl\n\
                import subprocess, sys, os\n\
                frame = pandas.DataFrame({'g': list('aabb'), 'x': [1., 2., 3., 4.]})\n\
                print(frame.groupby('g').x.mean().tolist(), sympy.integrate('2*x'), scipy.stats.norm.cdf(0))\n\
                frame.to_parquet('f.parquet'); frame.to_excel('f.xlsx')\n\
                print(pandas.read_parquet('f.parquet').x.sum(), pandas.read_excel('f.xlsx').x.sum())\n\
                print(sklearn.linear_model.LinearRegression().fit(frame[['x']], frame.x).coef_.round(3))\n\
                print(subprocess.check_output([sys.executable, '-c', 'import numpy; print(numpy.ones(2).sum())']).decode().strip())\n\
                print('KILN_DISPLAY_FD' in os.environ)\n";
    let outcome = run(&fixture, &base, program(code)).await.succeeded();
    assert_eq!(outcome.stdout(), "[1.5, 3.5] x**2 0.5\n10.0 10\n[1.]\n2.0\nFalse\n");
    assert_eq!(outcome.stderr(), "");
    fixture.close().await;
}
