//! The runtimes of this very machine: found once, remembered, and offered under the names of the API.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests")]

use std::path::PathBuf;
use std::time::Instant;

use kiln_executor::runtimes::{ResolveError, Runtimes, RuntimesConfig, RuntimesError, Search, State};

/// A directory of the test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kiln-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn config(directory: &Directory) -> RuntimesConfig {
    let mut config = RuntimesConfig::new(directory.0.clone());
    config.cache_dir = directory.0.join("cache");
    config
}

#[tokio::test]
async fn every_python_is_listed_once_and_the_newest_is_the_default() {
    let directory = Directory::new("list");
    let runtimes = Runtimes::open(config(&directory)).await.unwrap();
    let pythons: Vec<_> = runtimes.list().into_iter().filter(|runtime| runtime.id.starts_with("python3.")).collect();
    let minors: Vec<u16> = pythons.iter().map(|runtime| runtime.id.trim_start_matches("python3.").parse().unwrap()).collect();
    assert!(minors.is_sorted_by(|a, b| a > b), "{minors:?}");
    assert!(
        pythons.iter().all(|runtime| runtime.available && runtime.version.starts_with(runtime.id.trim_start_matches("python")))
    );
    assert_eq!(runtimes.list().iter().filter(|runtime| runtime.default).count(), 1);
    assert_eq!(runtimes.resolve("python").unwrap().id, pythons.first().unwrap().id);
    assert_eq!(runtimes.resolve("cobol").unwrap_err(), ResolveError::Unknown);
}

#[tokio::test]
async fn a_second_start_asks_no_interpreter_again() {
    let directory = Directory::new("again");
    let started = Instant::now();
    let first = Runtimes::open(config(&directory)).await.unwrap();
    let asked = started.elapsed();
    let started = Instant::now();
    let second = Runtimes::open(config(&directory)).await.unwrap();
    let remembered = started.elapsed();
    println!("first start {asked:?}, second {remembered:?}");
    assert_eq!(first.list(), second.list());
    assert!(remembered < asked);
}

#[tokio::test]
async fn an_environment_is_not_ready_until_it_is_made() {
    let directory = Directory::new("unbuilt");
    let runtimes = Runtimes::open(config(&directory)).await.unwrap();
    let base = runtimes.list().into_iter().find(|runtime| runtime.id == "base").unwrap();
    assert!(!base.available);
    assert!(matches!(runtimes.resolve("base"), Err(ResolveError::NotReady { .. })));
    let state = runtimes.watch().borrow().iter().find(|entry| entry.runtime.id == "base").unwrap().state.clone();
    assert!(matches!(state, State::Waiting | State::Failed(_)), "{state}");
}

#[tokio::test]
async fn a_machine_without_python_and_a_wrong_name_are_said_plainly() {
    let directory = Directory::new("none");
    let nothing = RuntimesConfig { search: Search::default(), ..config(&directory) };
    assert!(matches!(Runtimes::open(nothing).await, Err(RuntimesError::NoPython)));
    let wrong = RuntimesConfig { environments: vec!["bass".to_owned()], ..config(&directory) };
    let error = Runtimes::open(wrong).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no environment named bass; there are base and ml");
}
