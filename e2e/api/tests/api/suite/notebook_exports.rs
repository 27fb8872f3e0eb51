//! GET /notebooks/{id}/export: .ipynb, .py and .html

use serde_json::{Value, json};

use super::notebook_formats::nbformat;
use super::notebooks::{code, make, markdown, notebook};
use super::visit;

/// Reads a file as Jupyter does and prints it as it then is, after a strict check.
const READ_STRICTLY: &str = "
import json, sys, nbformat
nb = nbformat.reads(sys.stdin.read(), as_version=4)
nbformat.validate(nb, relax_add_props=False)
print(json.dumps(nb))
";

fn shown(data: &Value) -> Value {
    json!({"output_type": "display_data", "metadata": {}, "data": data})
}

fn cells() -> Vec<Value> {
    let mut ran = code("ran", "%matplotlib inline\nprint('a\\nb')");
    ran["execution_count"] = json!(3);
    ran["metadata"]["tags"] = json!(["x"]);
    ran["outputs"] = json!([
        {"output_type": "stream", "name": "stdout", "text": "a\n\u{1b}[31mred\u{1b}[0m <b>"},
        shown(&json!({"image/png": "aGk=\n", "text/plain": "<Figure>"})),
        shown(&json!({"text/html": "<table class=\"dataframe\"><tr><td>1</td></tr></table>", "text/plain": "1"})),
        {"output_type": "execute_result", "execution_count": 3, "metadata": {}, "data": {"application/json": {"n": 1.5}, "text/plain": "x\ny"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "v", "traceback": ["\u{1b}[0;31mValueError\u{1b}[0m: v"]},
    ]);
    let mut picture = markdown("pic", "![p](attachment:p.png)\n\n* [x] done\n\n$a_b$");
    picture["attachments"] = json!({"p.png": {"image/png": "aGk="}});
    vec![
        markdown("intro", "# Title\n\nsome *text*"),
        ran,
        picture,
        json!({"cell_type": "raw", "id": "r", "metadata": {}, "source": "raw\n"}),
    ]
}

#[tokio::test]
async fn ipynb_is_what_jupyter_reads() {
    let (_kiln, tenant) = visit().await;
    let path = format!("/notebooks/{}", make(&tenant, &cells()).await);
    let answer = tenant.get(&format!("{path}/export")).query("format", "ipynb").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/x-ipynb+json");
    assert!(
        answer.header("content-disposition").contains("attachment") && answer.header("content-disposition").contains("n.ipynb")
    );
    let content = tenant.get(&path).await.json()["content"].clone();
    let read: Value = serde_json::from_str(&nbformat().await.run(READ_STRICTLY, &answer.body).await).unwrap();
    assert_eq!(read, content);
    let again = tenant.post("/notebooks/import", &answer.json()).await.expect(201).json();
    assert_eq!(again["content"], content);
}

#[tokio::test]
async fn py_is_what_python_reads() {
    let (_kiln, tenant) = visit().await;
    let path = format!("/notebooks/{}", make(&tenant, &cells()).await);
    let answer = tenant.get(&format!("{path}/export")).query("format", "py").await.expect(200);
    assert!(answer.header("content-type").starts_with("text/x-python"));
    let expected = "# %% [markdown]\n# # Title\n#\n# some *text*\n\n# %%\n# %matplotlib inline\nprint('a\\nb')\n\n\
        # %% [markdown]\n# ![p](attachment:p.png)\n#\n# * [x] done\n#\n# $a_b$\n\n# %% [raw]\n# raw\n";
    assert_eq!(answer.text(), expected);
    assert_eq!(nbformat().await.run("import sys; exec(sys.stdin.read())", &answer.body).await, "a\nb\n");
}

#[tokio::test]
async fn html_is_one_page_in_which_nothing_acts() {
    let (_kiln, tenant) = visit().await;
    let mut all = cells();
    let hostile =
        "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>a</a><iframe src=//x></iframe>";
    all.push(markdown("bad", hostile));
    let mut bad = code("bad2", "'</pre><script>alert(1)</script>'");
    bad["outputs"] = json!([
        shown(&json!({"text/html": hostile})),
        shown(&json!({"text/html": "<script>only()</script>", "text/plain": "fallback"})),
        shown(&json!({"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"})),
        shown(&json!({"image/png": "\"><script>alert(1)</script>"})),
        shown(&json!({"application/javascript": "alert(1)"})),
        {"output_type": "stream", "name": "stderr", "text": "</pre><script>alert(1)</script>"},
    ]);
    all.push(bad);
    let body = json!({"name": "</title><script>alert(1)</script>", "content": notebook(&all)});
    let id = tenant.post("/notebooks", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    let answer = tenant.get(&format!("/notebooks/{id}/export")).query("format", "html").await.expect(200);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.header("content-security-policy").starts_with("sandbox"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let page = answer.text();
    for present in [
        "Content-Security-Policy\" content=\"default-src 'none'",
        "<h1>Title</h1>",
        "<em>text</em>",
        "src=\"data:image/png;base64,aGk=\"",
        "<span style=\"color:#e75c58;\">red</span> &lt;b&gt;",
        "<table class=\"dataframe\">",
        "[3]:",
        "fallback",
        "data:image/svg+xml;base64,",
    ] {
        assert!(page.contains(present), "{present}: {page}");
    }
    for absent in ["<script", "<iframe", "<svg", " onerror", " onload", "javascript:", "src=\"x\"", "http://", "https://"] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
    tenant.get(&format!("/notebooks/{id}/export")).query("format", "pdf").await.problem(400);
}
