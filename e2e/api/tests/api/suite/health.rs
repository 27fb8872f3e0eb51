//! GET /livez and /readyz, and what the public port does not serve

use kiln_test_support::{Mode, Visit};

#[tokio::test]
async fn is_open_to_all_and_names_the_services() {
    let kiln = Visit::beside(crate::MODE).await;
    let http = reqwest::Client::new();
    let mut named = String::new();
    for address in kiln.addresses().each() {
        for path in ["/livez", "/readyz", "/readyz?verbose"] {
            let answer = http.get(format!("{address}{path}")).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{address}{path}");
            if path.ends_with("verbose") {
                named.push_str(&answer.text().await.unwrap());
            }
        }
    }
    let services: &[&str] = match kiln.mode() {
        Mode::All => &["auth", "scheduler", "executor", "result"],
        Mode::Split => &["auth", "scheduler", "result"],
    };
    for service in services {
        assert!(named.contains(service), "{service} is not in {named}");
    }
}

#[tokio::test]
async fn metrics_are_not_on_the_public_port() {
    let kiln = Visit::beside(crate::MODE).await;
    kiln.api().get("/metrics").await.problem(404);
}
