//! Who may say and hear what in NATS: one account a service, the same on one machine and on a cluster.

use serde::Serialize;

/// An account, as NATS's settings have it, less its password.
#[derive(Debug, Serialize)]
pub struct User {
    pub user: &'static str,
    pub permissions: Permissions,
}

#[derive(Debug, Serialize)]
pub struct Permissions {
    publish: Subjects,
    subscribe: Subjects,
}

#[derive(Debug, Serialize)]
struct Subjects {
    allow: Vec<String>,
    deny: Vec<String>,
}

/// Every account.
pub fn users() -> Vec<User> {
    let users = [("operator", OPERATOR), ("auth", AUTH), ("scheduler", SCHEDULER), ("executor", EXECUTOR), ("result", RESULT)];
    users.into_iter().map(|(user, access)| User { user, permissions: access.permissions(user) }).collect()
}

/// All of them as JSON, which is also what the chart's NATS is made from.
pub fn text() -> serde_json::Result<String> {
    serde_json::to_string_pretty(&users())
}

/// Subjects that a service may publish to and subscribe to, beside those that all need.
struct Access {
    publish: &'static [&'static str],
    subscribe: &'static [&'static str],
    /// What it must not publish, and must not hear or answer, although the above would let it.
    deny: &'static [&'static str],
    deaf: &'static [&'static str],
}

/// Where auth gives values of secrets away, and does what the operator says.
const SECRETS: &str = "kiln.control.v1.auth.secrets";
const ADMIN: &str = "kiln.control.v1.auth.admin";

/// What every service needs: JetStream, its object store, and to answer. Answers to itself come below an inbox of its own.
const SHARED: &[&str] = &["$JS.>", "$O.>", "_INBOX.>"];

const OPERATOR: Access = Access { publish: &[">"], subscribe: &[">"], deny: &[], deaf: &[] };
const AUTH: Access = Access {
    publish: &["kiln.event.v1.auth.>", "kiln.control.v1.>"],
    subscribe: &["kiln.event.v1.>", "kiln.control.v1.auth.>"],
    deny: &[],
    deaf: &[],
};
const SCHEDULER: Access = Access {
    publish: &["kiln.task.v1.>", "kiln.event.v1.scheduler.>", "kiln.output.v1.>", "kiln.control.v1.>"],
    subscribe: &["kiln.event.v1.>", "kiln.control.v1.scheduler.>", "kiln.stored.v1.>"],
    deny: &[ADMIN],
    deaf: &[],
};
const EXECUTOR: Access = Access {
    // Of auth it may ask what every verifier of callers asks, and nothing else.
    publish: &[
        "kiln.event.v1.executor.>",
        "kiln.output.v1.>",
        "kiln.control.v1.scheduler.>",
        "kiln.control.v1.auth.keys",
        "kiln.control.v1.auth.api_key",
    ],
    subscribe: &["kiln.stdin.v1.>", "kiln.event.v1.>", "kiln.control.v1.>"],
    // What makes executions is for the services that know who asks.
    deny: &["kiln.control.v1.scheduler.run_batch", "kiln.control.v1.scheduler.finish_session"],
    // It runs what strangers wrote; if it fell, it must not pass for another service. Its own subject is named by its id.
    deaf: &["kiln.control.v1.auth.>", "kiln.control.v1.scheduler.>", "kiln.control.v1.result.>"],
};
const RESULT: Access = Access {
    publish: &["kiln.event.v1.result.>", "kiln.stdin.v1.>", "kiln.stored.v1.>", "kiln.control.v1.>"],
    deny: &[SECRETS, ADMIN],
    deaf: &[],
    subscribe: &["kiln.event.v1.>", "kiln.output.v1.>", "kiln.stored.v1.>", "kiln.control.v1.result.>"],
};

impl Access {
    fn permissions(&self, user: &str) -> Permissions {
        let inbox = format!("_INBOX.{user}.>");
        let owned = |lists: &[&[&str]]| lists.concat().into_iter().map(str::to_owned).collect();
        Permissions {
            publish: Subjects { allow: owned(&[SHARED, self.publish]), deny: owned(&[self.deny]) },
            subscribe: Subjects { allow: owned(&[&["$JS.>", "$O.>", &inbox], self.subscribe]), deny: owned(&[self.deaf]) },
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_chart_has_the_same_accounts() {
        let charted = include_str!("../../../../../helm/kiln/files/nats-users.json");
        assert_eq!(charted.trim_end(), super::text().unwrap(), "kiln nats-config > helm/kiln/files/nats-users.json");
    }
}
