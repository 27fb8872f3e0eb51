//! The one table of what each operation of the API asks of its caller. The extractors of callers enforce it, so a handler
//! asks for nothing but what depends on the object; an operation that is not here is closed to everybody.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::MatchedPath;
use axum::http::request::Parts;

use super::{Caller, Permission};
use crate::Problem;

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody; such an operation has no verified caller, or verifies one by itself.
    Public,
    /// Whoever is verified and holds the permission.
    Needs(Permission),
}

use Access::{Needs, Public};
use Permission as P;

/// Method, path below `/api/v1` (with its parameters), and who may.
const OPERATIONS: &[(&str, &str, Access)] = &[
    ("GET", "/.well-known/jwks.json", Public),
    ("POST", "/auth/signup", Public),
    ("POST", "/auth/login", Public),
    ("POST", "/auth/refresh", Public),
    // By the refresh cookie as well, which the handler verifies.
    ("POST", "/auth/logout", Public),
    ("POST", "/auth/password-reset", Public),
    ("POST", "/auth/password-reset/confirm", Public),
    ("POST", "/auth/signup/confirm", Public),
    ("POST", "/auth/email-verification", Needs(P::Account)),
    ("POST", "/auth/password", Needs(P::Account)),
    ("GET", "/auth/me", Needs(P::Account)),
    ("POST", "/auth/switch", Needs(P::Account)),
    ("POST", "/auth/ticket", Needs(P::Account)),
    ("GET", "/auth/sessions", Needs(P::Account)),
    ("DELETE", "/auth/sessions", Needs(P::Account)),
    ("DELETE", "/auth/sessions/{id}", Needs(P::Account)),
    ("POST", "/invitations/accept", Needs(P::Account)),
    ("POST", "/tenants", Needs(P::Account)),
    ("GET", "/tenant", Needs(P::TenantRead)),
    ("PATCH", "/tenant", Needs(P::TenantManage)),
    ("DELETE", "/tenant", Needs(P::TenantDelete)),
    ("GET", "/tenant/quota", Needs(P::TenantRead)),
    ("GET", "/tenant/usage", Needs(P::TenantManage)),
    ("GET", "/tenant/members", Needs(P::TenantManage)),
    ("PATCH", "/tenant/members/{user_id}", Needs(P::TenantManage)),
    ("DELETE", "/tenant/members/{user_id}", Needs(P::TenantLeave)),
    ("POST", "/tenant/invitations", Needs(P::TenantManage)),
    ("GET", "/tenant/invitations", Needs(P::TenantManage)),
    ("DELETE", "/tenant/invitations/{id}", Needs(P::TenantManage)),
    ("GET", "/tenant/audit-log", Needs(P::TenantManage)),
    ("GET", "/tenant/secrets", Needs(P::TenantManage)),
    ("GET", "/tenant/secrets/{name}", Needs(P::TenantManage)),
    ("PUT", "/tenant/secrets/{name}", Needs(P::TenantManage)),
    ("DELETE", "/tenant/secrets/{name}", Needs(P::TenantManage)),
    ("POST", "/api-keys", Needs(P::ApiKeysManage)),
    ("GET", "/api-keys", Needs(P::ApiKeysManage)),
    ("GET", "/api-keys/{id}", Needs(P::ApiKeysManage)),
    ("DELETE", "/api-keys/{id}", Needs(P::ApiKeysManage)),
    ("GET", "/admin/tenants", Needs(P::Platform)),
    ("GET", "/admin/tenants/{id}", Needs(P::Platform)),
    ("PATCH", "/admin/tenants/{id}", Needs(P::Platform)),
    ("GET", "/admin/executors", Needs(P::Platform)),
    // What can be run concerns nobody in particular.
    ("GET", "/runtimes", Needs(P::TenantRead)),
    ("GET", "/limits", Needs(P::TenantRead)),
    ("POST", "/executions", Needs(P::ExecutionsWrite)),
    ("GET", "/executions", Needs(P::ExecutionsRead)),
    ("GET", "/executions/{id}", Needs(P::ExecutionsRead)),
    ("DELETE", "/executions/{id}", Needs(P::ExecutionsWrite)),
    ("GET", "/executions/{id}/events", Needs(P::ExecutionsRead)),
    ("GET", "/executions/{id}/attach", Needs(P::ExecutionsRead)),
    ("GET", "/executions/{id}/stdout", Needs(P::ExecutionsRead)),
    ("GET", "/executions/{id}/stderr", Needs(P::ExecutionsRead)),
    ("GET", "/executions/{id}/files/{path}", Needs(P::ExecutionsRead)),
    ("GET", "/executions/{id}/why", Needs(P::ExecutionsRead)),
    ("POST", "/executions/{id}/stdin", Needs(P::ExecutionsWrite)),
    ("POST", "/executions/{id}/cancel", Needs(P::ExecutionsWrite)),
    ("POST", "/executions/{id}/retry", Needs(P::ExecutionsWrite)),
    ("POST", "/sessions", Needs(P::SessionsWrite)),
    ("GET", "/sessions", Needs(P::SessionsRead)),
    ("GET", "/sessions/{id}", Needs(P::SessionsRead)),
    ("DELETE", "/sessions/{id}", Needs(P::SessionsWrite)),
    ("POST", "/sessions/{id}/executions", Needs(P::SessionsWrite)),
    ("POST", "/sessions/{id}/interrupt", Needs(P::SessionsWrite)),
    ("POST", "/sessions/{id}/restart", Needs(P::SessionsWrite)),
    ("POST", "/sessions/{id}/complete", Needs(P::SessionsWrite)),
    ("POST", "/sessions/{id}/inspect", Needs(P::SessionsWrite)),
    ("POST", "/workspaces", Needs(P::FilesWrite)),
    ("GET", "/workspaces", Needs(P::FilesRead)),
    ("GET", "/workspaces/{id}", Needs(P::FilesRead)),
    ("PATCH", "/workspaces/{id}", Needs(P::FilesWrite)),
    ("DELETE", "/workspaces/{id}", Needs(P::FilesWrite)),
    ("GET", "/workspaces/{id}/files", Needs(P::FilesRead)),
    ("POST", "/workspaces/{id}/files", Needs(P::FilesWrite)),
    ("GET", "/workspaces/{id}/files/{path}", Needs(P::FilesRead)),
    ("PUT", "/workspaces/{id}/files/{path}", Needs(P::FilesWrite)),
    ("DELETE", "/workspaces/{id}/files/{path}", Needs(P::FilesWrite)),
    // Axum has no route below the rest of a path, so `…/move` is told apart by the handler.
    ("POST", "/workspaces/{id}/files/{path}", Needs(P::FilesWrite)),
    ("POST", "/workspaces/{id}/files/{path}/move", Needs(P::FilesWrite)),
    ("POST", "/notebooks", Needs(P::ExecutionsWrite)),
    ("GET", "/notebooks", Needs(P::ExecutionsRead)),
    ("POST", "/notebooks/import", Needs(P::ExecutionsWrite)),
    ("GET", "/notebooks/{id}", Needs(P::ExecutionsRead)),
    ("PUT", "/notebooks/{id}", Needs(P::ExecutionsWrite)),
    ("PATCH", "/notebooks/{id}", Needs(P::ExecutionsWrite)),
    ("DELETE", "/notebooks/{id}", Needs(P::ExecutionsWrite)),
    ("GET", "/notebooks/{id}/export", Needs(P::ExecutionsRead)),
    ("POST", "/notebooks/{id}/run", Needs(P::ExecutionsWrite)),
    ("GET", "/notebooks/{id}/run", Needs(P::ExecutionsRead)),
    ("GET", "/notebooks/{id}/versions", Needs(P::ExecutionsRead)),
    ("GET", "/notebooks/{id}/versions/{number}", Needs(P::ExecutionsRead)),
    ("GET", "/notebooks/{id}/versions/{number}/diff", Needs(P::ExecutionsRead)),
    ("POST", "/notebooks/{id}/versions/{number}/restore", Needs(P::ExecutionsWrite)),
    ("POST", "/scripts", Needs(P::ExecutionsWrite)),
    ("GET", "/scripts", Needs(P::ExecutionsRead)),
    ("GET", "/scripts/{id}", Needs(P::ExecutionsRead)),
    ("PUT", "/scripts/{id}", Needs(P::ExecutionsWrite)),
    ("PATCH", "/scripts/{id}", Needs(P::ExecutionsWrite)),
    ("DELETE", "/scripts/{id}", Needs(P::ExecutionsWrite)),
    ("GET", "/scripts/{id}/versions", Needs(P::ExecutionsRead)),
    ("GET", "/scripts/{id}/versions/{number}", Needs(P::ExecutionsRead)),
    ("GET", "/scripts/{id}/versions/{number}/diff", Needs(P::ExecutionsRead)),
    ("POST", "/scripts/{id}/versions/{number}/restore", Needs(P::ExecutionsWrite)),
];

static TABLE: LazyLock<HashMap<(&str, &str), Access>> =
    LazyLock::new(|| OPERATIONS.iter().map(|(method, path, access)| ((*method, *path), *access)).collect());

/// Who may use the operation; `path` as OpenAPI writes it. None when the table does not know it.
pub fn access(method: &str, path: &str) -> Option<Access> {
    TABLE.get(&(method, path.strip_prefix("/api/v1").unwrap_or(path))).copied()
}

/// Refuses a caller whom the table does not let in.
pub(super) fn check(caller: &Caller, parts: &Parts) -> Result<(), Problem> {
    let matched = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    // Axum answers HEAD by the handler of GET, and writes the rest of a path as `{*path}`.
    let method = if parts.method == axum::http::Method::HEAD { "GET" } else { parts.method.as_str() };
    match access(method, &matched.replace("{*", "{")) {
        Some(Public) => Ok(()),
        Some(Needs(permission)) => caller.require(permission),
        None => Err(Problem::internal(format!("{method} {matched} is not in the table of operations"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_stands_once() {
        assert_eq!(TABLE.len(), OPERATIONS.len());
    }

    #[test]
    fn paths_are_known_as_openapi_writes_them() {
        assert_eq!(access("GET", "/api/v1/executions/{id}/files/{path}"), Some(Needs(P::ExecutionsRead)));
        assert_eq!(access("GET", "/.well-known/jwks.json"), Some(Public));
        assert_eq!(access("PUT", "/api/v1/executions/{id}"), None);
    }
}
