//! Rich outputs in `base`, by IPython's shell. Builds the environment when it is not there yet.

use kiln_domain::Limits;
use kiln_executor::runtimes::{Runtimes, RuntimesConfig};
use tokio_util::sync::CancellationToken;

use crate::fixture::fixture;
use crate::talk::{Talk, limits};

#[tokio::test]
async fn base_shows_what_a_notebook_shows() {
    let Some(fixture) = fixture("session_rich").await else { return };
    let runtimes = Runtimes::open(RuntimesConfig::new(fixture.data_dir.join("runtimes"))).await.unwrap();
    runtimes.build(CancellationToken::new()).await;
    let base = runtimes.resolve("base").unwrap().kernel.unwrap();
    let roomy = Limits { memory_bytes: 512 << 20, ..limits() };
    let mut talk = Talk::with(&fixture, &base, roomy).await;
    assert_eq!(talk.0.start, kiln_domain::Start::Warm);
    let loaded = "import sys; [name in sys.modules for name in ('numpy', 'pandas', 'matplotlib.pyplot')]";
    assert_eq!(talk.value(loaded).await, "[True, True, True]");

    let two = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\nplt.plot([3]); plt.show()";
    let told = talk.cell(two).await.succeeded();
    assert_eq!(told.types(), ["display_data", "display_data"]);
    assert!(told.outputs.iter().all(|output| output["data"]["image/png"].as_str().unwrap().starts_with("iVBOR")));
    let told = talk.cell("plt.plot([1]);").await.succeeded();
    assert_eq!(told.types(), ["display_data"]);
    let told = talk.cell("plt.plot([1])\n1/0").await;
    assert_eq!(told.types(), ["error", "display_data"]);

    let told = talk.cell("import pandas as pd\npd.DataFrame({'a': [1]})").await.succeeded();
    assert!(told.outputs[0]["data"]["text/html"].as_str().unwrap().contains("<table"));
    let told = talk.cell("import sympy\nsympy.sqrt(2)").await.succeeded();
    assert!(told.outputs[0]["data"]["text/latex"].as_str().unwrap().contains("sqrt"));
    let told = talk.cell("from PIL import Image\nImage.new('RGB', (4, 4))").await.succeeded();
    assert!(told.outputs[0]["data"]["image/png"].is_string());
    let told = talk.cell("Image.new('RGB', (4, 4)).show()").await.succeeded();
    assert_eq!(told.types(), ["display_data"], "{told:?}");

    let updated = "from IPython.display import display, HTML, Markdown, clear_output\nh = display(HTML('<b>x</b>'), display_id='one')\n\
                   h.update(Markdown('**y**'))\nclear_output(wait=True)";
    let told = talk.cell(updated).await.succeeded();
    assert_eq!(told.types(), ["display_data", "update_display_data", "clear_output"]);
    assert_eq!(told.outputs[1]["transient"]["display_id"], "one");
    let told = talk.cell("%matplotlib inline\n%time x = 1\n!echo shell").await.succeeded();
    assert!(told.text().ends_with("shell\n"), "{told:?}");

    // A new interpreter has the same shell, if not the same modules ahead.
    talk.cell("import os\nos._exit(0)").await;
    let told = talk.cell("import matplotlib.pyplot as plt\nplt.plot([1]);").await.succeeded();
    assert_eq!(told.types(), ["display_data"], "{told:?}");
    talk.close().await;
    fixture.close().await;
}
