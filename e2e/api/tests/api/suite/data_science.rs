//! A notebook as people write them: CSV in, cleaned, plotted, fitted, exported, run by the server with nobody there

use std::fmt::Write as _;

use std::time::Duration;

use kiln_test_support::{Tenant, assert_like, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use super::notebook_runs::ended;
use super::notebooks::{code, markdown, notebook};
use super::visit;

/// The packages may have to be fetched, once a machine.
const AVAILABLE_WITHIN: Duration = Duration::from_mins(10);
const RUN_WITHIN: Duration = Duration::from_mins(2);

/// 40 days of a line with slope 2, three of them spoilt.
fn measurements() -> String {
    let mut csv = "day,place,value\n".to_owned();
    for day in 0..40 {
        let value = match day {
            7 => String::new(),
            13 => "n/a".to_owned(),
            21 => "-9999".to_owned(),
            _ => format!("{:.1}", 10.0 + 2.0 * f64::from(day) + if day % 2 == 0 { 0.5 } else { -0.5 }),
        };
        let place = if day % 3 == 0 { "north" } else { "south" };
        writeln!(csv, "{day},{place},{value}").unwrap();
    }
    csv
}

fn cells() -> Vec<Value> {
    let load = "import pandas as pd\nraw = pd.read_csv('measurements.csv')\nraw.head(3)";
    let clean = "data = raw.assign(value=pd.to_numeric(raw['value'], errors='coerce'))\n\
        data = data[data['value'] > -1000].reset_index(drop=True)\nprint(len(raw), '->', len(data))";
    let plot = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(4, 3))\nax.plot(data['day'], data['value'], '.')\n\
        ax.set_xlabel('day')\nplt.show()";
    let fit = "import numpy as np\nfrom sklearn.linear_model import LinearRegression\n\
        model = LinearRegression().fit(data[['day']], data['value'])\nround(float(model.coef_[0]), 1), round(float(model.intercept_), 1)";
    let export =
        "summary = data.groupby('place')['value'].agg(['count', 'mean']).round(2)\nsummary.to_csv('summary.csv')\nsummary";
    vec![
        markdown("title", "# Measurements\n\nA line, with *noise*."),
        code("load", load),
        code("clean", clean),
        code("plot", plot),
        code("fit", fit),
        code("export", export),
    ]
}

async fn wait_for_base(tenant: &Tenant) {
    let available = async || {
        let list = tenant.get("/runtimes").await.expect(200).json();
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|runtime| runtime["id"] == "base" && runtime["available"] == true)
            .then_some(())
    };
    eventually(AVAILABLE_WITHIN, "base can be used", available).await;
}

/// Each cell's outputs.
fn outputs(notebook: &Value) -> Vec<Value> {
    notebook["cells"].as_array().unwrap().iter().map(|cell| cell["outputs"].clone()).collect()
}

#[tokio::test]
async fn it_runs_to_the_same_outputs_and_jupyter_reads_it() {
    let (_kiln, tenant) = visit().await;
    wait_for_base(&tenant).await;
    let workspace = super::workspaces::make(&tenant, json!({"name": "lab"})).await;
    let files = format!("/workspaces/{workspace}/files");
    let upload = tenant.call(Method::PUT, &format!("{files}/measurements.csv"));
    upload.body("application/octet-stream", measurements()).await.expect(201);
    let body = json!({"name": "Measurements", "content": notebook(&cells()), "runtime": "base", "workspace_id": workspace});
    let path = format!("/notebooks/{}", tenant.post("/notebooks", &body).await.expect(201).json()["id"].as_str().unwrap());

    tenant.post(&format!("{path}/run"), &json!({"limits": {"timeout_ms": 120_000}})).await.expect(202);
    let run = ended(&tenant, &path, RUN_WITHIN).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let first = tenant.get(&path).await.expect(200).json()["content"].clone();
    assert_like(
        &first["cells"][1]["outputs"],
        json!([{"output_type": "execute_result", "data": {"text/html": "<string>", "text/plain": "<string>"}}]),
    );
    assert_eq!(first["cells"][2]["outputs"][0]["text"], "40 -> 37\n");
    let figure = first["cells"][3]["outputs"].as_array().unwrap();
    assert_eq!(figure.len(), 1);
    assert!(figure[0]["data"]["image/png"].as_str().unwrap().starts_with("iVBORw0KGgo"), "{figure:?}");
    assert_eq!(first["cells"][4]["outputs"][0]["data"]["text/plain"], "(2.0, 10.1)");
    let summary = tenant.get(&format!("{files}/summary.csv")).await.expect(200).text();
    assert!(summary.starts_with("place,count,mean\nnorth,"), "{summary}");

    // As a file it is what Jupyter reads, and what comes back in runs again to the same.
    let file = tenant.get(&format!("{path}/export")).query("format", "ipynb").await.expect(200);
    let judge = "import sys, nbformat; nbformat.validate(nbformat.reads(sys.stdin.read(), as_version=4), relax_add_props=False); print('valid')";
    assert_eq!(super::notebook_formats::nbformat().await.run(judge, &file.body).await, "valid\n");
    let import = tenant
        .post("/notebooks/import", &file.json())
        .query("name", "again")
        .query("runtime", "base")
        .query("workspace_id", &workspace);
    let again = format!("/notebooks/{}", import.await.expect(201).json()["id"].as_str().unwrap());
    tenant.post(&format!("{again}/run"), &json!({"limits": {"timeout_ms": 120_000}})).await.expect(202);
    assert_eq!(ended(&tenant, &again, RUN_WITHIN).await["status"], "succeeded");
    assert_eq!(outputs(&tenant.get(&again).await.json()["content"]), outputs(&first));

    let page = tenant.get(&format!("{path}/export")).query("format", "html").await.expect(200).text();
    for present in ["<h1>Measurements</h1>", "<em>noise</em>", "data:image/png;base64,iVBORw0KGgo", "<table", "40 -&gt; 37"] {
        assert!(page.contains(present), "{present}");
    }
}
