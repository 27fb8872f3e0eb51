//! What is a notebook and what is not, held against nbformat itself

use kiln_test_support::{Python, assert_like};
use reqwest::Method;
use serde_json::{Value, json};

use super::notebooks::{code, markdown, notebook};
use super::visit;

/// The referee.
pub async fn nbformat() -> Python {
    Python::with("nbformat", &["nbformat==5.11.1"]).await
}

/// Reads a list of notebooks; prints for each whether it is valid nbformat 4.5, as it is.
const JUDGE: &str = "
import copy, json, sys, nbformat
verdicts = []
for nb in json.load(sys.stdin):
    try:
        # It would mend ids that are there twice.
        nbformat.validate(copy.deepcopy(nb), version=4, version_minor=5, relax_add_props=False)
        ids = [cell['id'] for cell in nb['cells']]
        verdicts.append(len(set(ids)) == len(ids))
    except Exception:
        verdicts.append(False)
print(json.dumps(verdicts))
";

/// What nbformat makes of a list of notebooks of any version.
const READER: &str = "
import json, sys, nbformat, warnings
warnings.simplefilter('ignore')
print(json.dumps([nbformat.v4.upgrade(nbformat.reads(json.dumps(nb), as_version=4)) for nb in json.load(sys.stdin)]))
";

fn with_cell(change: impl FnOnce(&mut Value)) -> Value {
    let mut cell = code("b", "1");
    cell["outputs"] = json!([{"output_type": "stream", "name": "stdout", "text": "hi"}]);
    change(&mut cell);
    notebook(&[code("a", "0"), cell])
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut notebook = notebook(&[markdown("a", "x")]);
    change(&mut notebook);
    notebook
}

fn removed(value: &mut Value, field: &str) {
    value.as_object_mut().unwrap().remove(field);
}

/// Notebooks that are none, and where that is.
fn bad_ones() -> Vec<(Value, &'static str)> {
    let output = |output: Value| with_cell(|cell| cell["outputs"][0] = output);
    let shown = json!({"output_type": "display_data", "data": {"text/plain": "x"}, "metadata": {}});
    let mut bad_bundle = shown.clone();
    bad_bundle["data"]["text/plain"] = json!(7);
    let mut more = shown.clone();
    more["transient"] = json!({});
    vec![
        (with(|n| removed(n, "cells")), "/cells"),
        (with(|n| n["cells"] = json!({})), "/cells"),
        (with(|n| removed(n, "metadata")), "/metadata"),
        (with(|n| n["metadata"] = json!([])), "/metadata"),
        (with(|n| n["metadata"]["kernelspec"] = json!({"name": "x"})), "/metadata/kernelspec/display_name"),
        (with(|n| n["metadata"]["language_info"] = json!({})), "/metadata/language_info/name"),
        (with(|n| n["metadata"]["title"] = json!(1)), "/metadata/title"),
        (with(|n| n["worksheets"] = json!([])), "/worksheets"),
        (with(|n| n["cells"][0] = json!("cell")), "/cells/0"),
        (with(|n| n["cells"][0]["outputs"] = json!([])), "/cells/0/outputs"),
        (with(|n| n["cells"][0]["attachments"] = json!({"a.png": {"image/png": 1}})), "/cells/0/attachments/a.png/image~1png"),
        (with_cell(|c| c["cell_type"] = json!("heading")), "/cells/1/cell_type"),
        (with_cell(|c| removed(c, "cell_type")), "/cells/1/cell_type"),
        (with_cell(|c| removed(c, "source")), "/cells/1/source"),
        (with_cell(|c| c["source"] = json!([1])), "/cells/1/source"),
        (with_cell(|c| removed(c, "metadata")), "/cells/1/metadata"),
        (with_cell(|c| removed(c, "outputs")), "/cells/1/outputs"),
        (with_cell(|c| removed(c, "execution_count")), "/cells/1/execution_count"),
        (with_cell(|c| c["execution_count"] = json!(-1)), "/cells/1/execution_count"),
        (with_cell(|c| c["execution_count"] = json!("1")), "/cells/1/execution_count"),
        (with_cell(|c| c["id"] = json!("a")), "/cells/1/id"),
        (with_cell(|c| c["id"] = json!("a b")), "/cells/1/id"),
        (with_cell(|c| c["id"] = json!("x".repeat(65))), "/cells/1/id"),
        (with_cell(|c| c["extra"] = json!(1)), "/cells/1/extra"),
        (with_cell(|c| c["metadata"]["tags"] = json!(["a", "a"])), "/cells/1/metadata/tags"),
        (with_cell(|c| c["metadata"]["tags"] = json!(["a,b"])), "/cells/1/metadata/tags"),
        (with_cell(|c| c["metadata"]["name"] = json!("")), "/cells/1/metadata/name"),
        (with_cell(|c| c["metadata"]["collapsed"] = json!("yes")), "/cells/1/metadata/collapsed"),
        (with_cell(|c| c["metadata"]["scrolled"] = json!("maybe")), "/cells/1/metadata/scrolled"),
        (with_cell(|c| c["metadata"]["execution"] = json!({"x": 1})), "/cells/1/metadata/execution"),
        (output(json!("x")), "/cells/1/outputs/0"),
        (output(json!({"output_type": "pyout"})), "/cells/1/outputs/0/output_type"),
        (output(json!({"output_type": "stream", "text": "x"})), "/cells/1/outputs/0/name"),
        (output(json!({"output_type": "stream", "name": "stdout", "text": {}})), "/cells/1/outputs/0/text"),
        (output(json!({"output_type": "display_data", "data": {}})), "/cells/1/outputs/0/metadata"),
        (output(json!({"output_type": "execute_result", "data": {}, "metadata": {}})), "/cells/1/outputs/0/execution_count"),
        (output(json!({"output_type": "error", "ename": "E", "evalue": "", "traceback": "x"})), "/cells/1/outputs/0/traceback"),
        (output(bad_bundle), "/cells/1/outputs/0/data/text~1plain"),
        (output(more), "/cells/1/outputs/0/transient"),
    ]
}

#[tokio::test]
async fn what_is_none_is_refused_with_the_cell_and_why() {
    let (_kiln, tenant) = visit().await;
    let bad: Vec<Value> = bad_ones().into_iter().map(|(notebook, _)| notebook).collect();
    let verdicts = nbformat().await.run(JUDGE, &serde_json::to_vec(&bad).unwrap()).await;
    assert_eq!(verdicts.trim(), json!(vec![false; bad.len()]).to_string().replace(',', ", "), "nbformat takes some of them");
    for (notebook, pointer) in bad_ones() {
        let problem = tenant.post("/notebooks", &json!({"name": "n", "content": notebook})).await.problem(422);
        let expected = json!({"pointer": format!("/content{pointer}"), "detail": "<string>"});
        assert_like(&problem.body["errors"], json!([expected]));
    }
    // An import says the same of its body, which is the notebook, and mends what nbformat mends.
    for (notebook, pointer) in bad_ones() {
        let answer = tenant.post("/notebooks/import", &notebook).await;
        if pointer == "/cells/1/id" {
            answer.expect(201);
        } else {
            assert_like(&answer.problem(422).body["errors"], json!([{ "pointer": pointer }]));
        }
    }
    for (body, pointer) in [
        (json!({}), "/nbformat"),
        (json!({"nbformat": "4"}), "/nbformat"),
        (json!({"nbformat": 5, "cells": []}), "/nbformat"),
        (json!({"nbformat": 4, "metadata": {}, "cells": []}), "/nbformat_minor"),
        (json!({"nbformat": 3, "metadata": {}}), "/worksheets"),
    ] {
        assert_like(&tenant.post("/notebooks/import", &body).await.problem(422).body["errors"], json!([{ "pointer": pointer }]));
    }
    let deep = format!(
        "{{\"nbformat\":4,\"nbformat_minor\":5,\"cells\":[],\"metadata\":{{\"x\":{}{}}}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    tenant.call(Method::POST, "/notebooks/import").body("application/json", deep).await.problem(422);
    // Several faults are told at once, each with its place.
    let several = json!({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "raw"}, 7]});
    let errors = tenant.post("/notebooks/import", &several).await.problem(422).body["errors"].clone();
    let expected =
        ["/cells/0/metadata", "/cells/0/source", "/cells/1"].map(|pointer| json!({"pointer": pointer, "detail": "<string>"}));
    assert_like(&errors, json!(expected));
}

/// Ids are random wherever they are made.
fn without_ids(mut notebook: Value) -> Value {
    for cell in notebook["cells"].as_array_mut().unwrap() {
        removed(cell, "id");
    }
    for field in ["kernelspec", "language_info"] {
        removed(&mut notebook["metadata"], field);
    }
    for field in ["orig_nbformat", "orig_nbformat_minor"] {
        notebook["metadata"].as_object_mut().unwrap().remove(field);
    }
    notebook
}

#[tokio::test]
async fn older_ones_become_what_nbformat_makes_of_them() {
    let (_kiln, tenant) = visit().await;
    let mut four_zero = notebook(&[code("a", "1"), markdown("b", "x")]);
    four_zero["nbformat_minor"] = json!(0);
    for cell in four_zero["cells"].as_array_mut().unwrap() {
        removed(cell, "id");
    }
    let mut four_four = four_zero.clone();
    four_four["nbformat_minor"] = json!(4);
    four_four["metadata"]["mine"] = json!({"x": [1, 2.5]});
    let three = json!({
        "nbformat": 3, "nbformat_minor": 0, "metadata": {"name": "old", "signature": "s", "kept": 1},
        "worksheets": [{"metadata": {}, "cells": [
            {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Two\n", "lines"]},
            {"cell_type": "markdown", "metadata": {}, "source": ["a\n", "b"]},
            {"cell_type": "raw", "metadata": {"format": "x"}, "source": "raw"},
            {"cell_type": "code", "language": "python", "metadata": {"mine": true}, "collapsed": true, "prompt_number": 7,
             "input": ["x = 1\n", "x"], "outputs": [
                {"output_type": "stream", "stream": "stderr", "text": ["w\n", "x"]},
                {"output_type": "stream", "text": "plain"},
                {"output_type": "pyout", "prompt_number": 7, "metadata": {}, "text": ["1"], "html": "<b>1</b>"},
                {"output_type": "display_data", "metadata": {"png": {"width": 5}}, "png": "aGk=", "json": "{\"a\": [1]}"},
                {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": ["t"]}]},
        ]}, {"metadata": {}, "cells": [{"cell_type": "code", "language": "python", "metadata": {}, "input": "", "outputs": []}]}],
    });
    let two = json!({
        "nbformat": 2, "metadata": {}, "worksheets": [{"cells": [
            {"cell_type": "markdown", "source": "text"},
            {"cell_type": "code", "language": "python", "collapsed": false, "prompt_number": 1, "input": "1", "outputs": []},
        ]}],
    });
    let one = json!({"nbformat": 1, "cells": [{"cell_type": "code", "code": "1", "prompt_number": 3}, {"cell_type": "text", "text": "t"}]});
    let old = vec![four_zero, four_four, three, two, one];
    let expected: Vec<Value> =
        serde_json::from_str(&nbformat().await.run(READER, &serde_json::to_vec(&old).unwrap()).await).unwrap();
    for (old, expected) in old.iter().zip(expected) {
        let made = tenant.post("/notebooks/import", old).await.expect(201).json()["content"].clone();
        let ids: Vec<&str> = made["cells"].as_array().unwrap().iter().map(|cell| cell["id"].as_str().unwrap()).collect();
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
        assert_eq!(without_ids(made.clone()), without_ids(expected), "{old}");
        let judged = nbformat().await.run(JUDGE, json!([made]).to_string().as_bytes()).await;
        assert_eq!(judged.trim(), "[true]", "{made}");
    }
}

#[tokio::test]
async fn an_import_takes_its_name_from_the_query_or_its_title() {
    let (_kiln, tenant) = visit().await;
    let mut titled = notebook(&[]);
    titled["metadata"]["title"] = json!("Its title");
    let name = |answer: kiln_test_support::Answer| answer.expect(201).json()["name"].clone();
    assert_eq!(name(tenant.post("/notebooks/import", &titled).await), "Its title");
    assert_eq!(name(tenant.post("/notebooks/import", &notebook(&[])).await), "Imported");
    let named =
        tenant.post("/notebooks/import", &titled).query("name", "mine.ipynb").query("runtime", "base").await.expect(201).json();
    assert_like(&named, json!({"name": "mine.ipynb", "runtime": "base"}));
    tenant.post("/notebooks/import", &titled).query("name", " ").await.problem(422);
    tenant.post("/notebooks/import", &titled).query("runtime", "cobol").await.problem(422);
    tenant.post("/notebooks/import", &titled).query("title", "x").await.problem(400);
}
