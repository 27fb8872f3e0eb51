//! `RateLimit` and `RateLimit-Policy`, on every answer that is counted

use kiln_test_support::Answer;
use serde_json::json;

use super::visit;

/// Name, quota and window of the policy, and what is left of it.
fn standing(answer: &Answer) -> (String, u64, u64, u64) {
    let (policy, state) = (answer.header("ratelimit-policy"), answer.header("ratelimit"));
    let name = policy.split('"').nth(1).unwrap_or_else(|| panic!("no policy in {:?}", answer.headers)).to_owned();
    assert!(state.starts_with(&format!("\"{name}\";")), "{state} is not of {policy}");
    let number = |text: &str, field: &str| {
        let found = text.split(';').find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {field} in {text}")).parse::<u64>().unwrap()
    };
    assert!(number(state, "t") <= number(policy, "w"), "{state}");
    (name, number(policy, "q"), number(policy, "w"), number(state, "r"))
}

#[tokio::test]
async fn every_part_says_where_a_caller_stands() {
    let (_kiln, tenant) = visit().await;
    for path in ["/tenant", "/auth/me", "/limits", "/executions", "/api-keys"] {
        let (name, quota, window_s, left) = standing(&tenant.get(path).await.expect(200));
        assert!(["caller", "tenant"].contains(&name.as_str()) && left < quota && window_s == 60, "{path}: {name} {left}");
    }
    // A refusal counts and tells as well.
    standing(&tenant.get("/executions/nothing").await.expect(404));
    standing(&tenant.post("/executions", &json!({"code": ""})).await.expect(422));
}

#[tokio::test]
async fn a_submission_tells_what_is_left_of_the_minute() {
    let (_kiln, tenant) = visit().await;
    let submit = async || standing(&tenant.post("/executions", &json!({"code": "print(1)"})).await.expect(202));
    let (first, second) = (submit().await, submit().await);
    assert_eq!((first.0.as_str(), first.1, first.2, first.3), ("executions_per_minute", 60_000, 60, 59_999));
    assert_eq!(second.3, 59_998);
}

#[tokio::test]
async fn who_names_nobody_is_counted_by_address() {
    let (kiln, _tenant) = visit().await;
    let api = kiln.api_from_elsewhere();
    let (name, quota, _, left) = standing(&api.get("/auth/me").await.expect(401));
    assert_eq!((name.as_str(), left), ("address", quota - 1));
    let (_, _, _, left) = standing(&api.with_bearer("nonsense").get("/auth/me").await.expect(401));
    assert!(left < quota - 1, "{left}");
    assert_eq!(api.get("/livez").await.expect(200).header("ratelimit"), "");
}
