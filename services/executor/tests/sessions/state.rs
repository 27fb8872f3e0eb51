//! Names live on, nothing is run twice, and two sessions share nothing.

use std::sync::Arc;

use kiln_executor::sandbox::{AskError, Question, QuestionKind, RuntimeCommand};

use crate::fixture::fixture;
use crate::talk::{Talk, kernel, pythons};

/// Cells, and what the last expression of the one after them shows.
const CELLS: [(&str, &str, &str); 16] = [
    ("xs = []", "xs.append(1); xs", "[1]"),
    ("n = 1", "n += 5; n", "6"),
    ("d = {}\nd['k'] = 1", "d", "{'k': 1}"),
    ("a, b = 1, 2", "a + b", "3"),
    ("x: int = 3", "x", "3"),
    ("def twice(f):\n    return lambda v: f(f(v))\n@twice\ndef add(v):\n    return v + 1", "add(1)", "3"),
    ("text = '''one\ntwo'''\ncall = max(\n    1,\n    2,\n)", "(text, call)", "('one\\ntwo', 2)"),
    ("if n > 5:\n    side = 'high'\nelse:\n    side = 'low'", "side", "'high'"),
    ("try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    caught = str(error)", "caught", "'division by zero'"),
    ("total = 0\nfor i in range(4):\n    total += i", "(total, i)", "(6, 3)"),
    ("import random\nrandom.seed(1)\nfirst = random.random()", "random.seed(1); random.random() == first", "True"),
    ("file = open('notes', 'w+')\nfile.write('hi')", "file.seek(0); file.read()", "'hi'"),
    ("numbers = (n for n in range(9))\nnext(numbers)", "next(numbers)", "1"),
    ("class A:\n    def __init__(self):\n        self.v = 4", "A().v", "4"),
    ("import pickle\nclass B: pass", "pickle.loads(pickle.dumps(B())).__class__ is B", "True"),
    ("import sys\nsys.path.insert(0, '.')\nopen('own.py', 'w').write('here = 7')", "import own; own.here", "7"),
];

const AWAITED: [(&str, &str, &str); 2] = [
    ("import asyncio\nasync def five():\n    await asyncio.sleep(0)\n    return 5", "await five()", "5"),
    ("task = asyncio.create_task(five())", "await task", "5"),
];

#[tokio::test]
async fn every_python_keeps_its_state() {
    let Some(fixture) = fixture("session_state").await else { return };
    for python in pythons(&fixture).await {
        let warm = python.kernel.clone().unwrap();
        let cold = Arc::new(RuntimeCommand { tiers: Vec::new(), ..RuntimeCommand::clone(&warm) });
        let awaits = !["python3.6", "python3.7"].contains(&python.id.as_str());
        for (way, kernel) in [("warm", &warm), ("cold", &cold)] {
            let mut talk = Talk::open(&fixture, kernel).await;
            let cells = CELLS.iter().chain(AWAITED.iter().filter(|_| awaits));
            for (number, (code, then, shows)) in cells.enumerate() {
                let told = talk.cell(code).await.succeeded();
                assert_eq!(told.ended.execution_count, Some(number as u64 * 2 + 1), "{} {way}", python.id);
                assert_eq!(talk.value(then).await, *shows, "{} {way}: {code}", python.id);
            }
            talk.close().await;
        }
    }
    fixture.close().await;
}

#[tokio::test]
async fn two_sessions_share_nothing() {
    let Some(fixture) = fixture("session_two").await else { return };
    let kernel = kernel(&fixture).await;
    let (mut one, mut other) = (Talk::open(&fixture, &kernel).await, Talk::open(&fixture, &kernel).await);
    one.cell("secret = 1\nopen('file', 'w').write('x')\nopen('/tmp/file', 'w').write('x')").await.succeeded();
    assert_eq!(
        other.value("import os; ('secret' in globals(), os.path.exists('file'), os.listdir('/tmp'))").await,
        "(False, False, [])"
    );
    let random = "import random, uuid; (random.random(), uuid.uuid4())";
    assert_ne!(one.value(random).await, other.value(random).await);
    one.close().await;
    other.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn names_are_completed_and_explained() {
    let Some(fixture) = fixture("session_questions").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    talk.cell("def measure(width, height=2):\n    'The area.'\nvalues = [1]").await.succeeded();
    let question =
        |kind, code: &str| Question { id: 0, kind, code: code.to_owned(), cursor: code.chars().count() as u64, detail: 0 };
    let deadline = std::time::Duration::from_secs(10);
    let answer = talk.0.control.ask(question(QuestionKind::Complete, "values.app"), deadline).await.unwrap();
    assert_eq!(answer["matches"], serde_json::json!(["values.append"]));
    assert_eq!((answer["cursor_start"].as_u64(), answer["cursor_end"].as_u64()), (Some(0), Some(10)));
    let answer = talk.0.control.ask(question(QuestionKind::Inspect, "measure"), deadline).await.unwrap();
    let text = answer["data"]["text/plain"].as_str().unwrap();
    assert!(text.contains("(width, height=2)") && text.contains("The area."), "{text}");
    let answer = talk.0.control.ask(question(QuestionKind::Inspect, "nowhere"), deadline).await.unwrap();
    assert_eq!(answer["found"], false);
    // While a cell runs nobody answers; the cell goes on.
    talk.0.control.run("import time; time.sleep(1); 5".to_owned(), false, false, crate::talk::limits()).await.unwrap();
    let soon = std::time::Duration::from_millis(50);
    assert_eq!(talk.0.control.ask(question(QuestionKind::Complete, "v"), soon).await, Err(AskError::Busy));
    talk.told().await.succeeded();
    talk.close().await;
    fixture.close().await;
}
