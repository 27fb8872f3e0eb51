//! Standard input, cell by cell.

use bytes::Bytes;
use kiln_executor::sandbox::SessionEvent;

use crate::fixture::fixture;
use crate::talk::{Talk, kernel, limits};

#[tokio::test]
async fn an_interactive_cell_reads_what_it_is_given() {
    let Some(fixture) = fixture("session_input").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    talk.0.control.run("name = input('Who? ')\nprint('Hello', name)".to_owned(), false, true, limits()).await.unwrap();
    let mut text = String::new();
    loop {
        match talk.event().await {
            SessionEvent::Output { bytes, .. } => text.push_str(&String::from_utf8_lossy(&bytes)),
            SessionEvent::WaitingForInput(true) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(text, "Who? ");
    talk.0.control.stdin(Bytes::from_static(b"Ada\nleft over\n")).await.unwrap();
    assert_eq!(talk.told().await.succeeded().text(), "Hello Ada\n");
    // What a cell did not read is not the next one's.
    talk.0.control.run("import sys\nsys.stdin.read()".to_owned(), false, true, limits()).await.unwrap();
    talk.0.control.stdin(Bytes::from_static(b"all")).await.unwrap();
    talk.0.control.close_stdin().await.unwrap();
    let told = talk.told().await.succeeded();
    assert_eq!(told.outputs[0]["data"]["text/plain"], "'all'");
    talk.close().await;
    fixture.close().await;
}

#[tokio::test]
async fn a_cell_that_is_not_interactive_has_none() {
    let Some(fixture) = fixture("session_no_input").await else { return };
    let mut talk = Talk::open(&fixture, &kernel(&fixture).await).await;
    let told = talk.cell("input('?')").await;
    assert_eq!(told.outputs[0]["ename"], "StdinNotImplementedError");
    assert_eq!(talk.value("import sys; sys.stdin.read()").await, "''");
    assert_eq!(talk.value("import subprocess; subprocess.run(['cat'], stdout=subprocess.PIPE).stdout").await, "b''");
    talk.close().await;
    fixture.close().await;
}
