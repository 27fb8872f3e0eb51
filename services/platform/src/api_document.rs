//! The OpenAPI document: the services' routes under one title, with how to authenticate.

use kiln_domain::{Role, Scope};
use kiln_http::auth::{Access, access};
use serde_json::json;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi};

/// Where it is served.
pub const PATH: &str = "/api/v1/openapi.json";

/// Adds what no single service can say.
pub fn complete(mut document: OpenApi) -> OpenApi {
    // The router writes `{*path}` for the rest of a path; OpenAPI knows `{path}` only.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    document.info = InfoBuilder::new()
        .title("Kiln")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A multi-tenant, self-hosted service that runs Python. Errors are RFC 9457 problem documents."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    // Axum writes the rest of a path as `{*path}`; OpenAPI knows only `{path}`.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    add_access(&mut document);
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("An access token from /api/v1/auth/login, or an API key.".to_owned());
    document.components.get_or_insert_with(Components::new).add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// Who may use each operation, from the table that the services enforce: `public`, or the roles and scopes that let one in.
fn add_access(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("GET", &mut item.get),
            ("POST", &mut item.post),
            ("PUT", &mut item.put),
            ("PATCH", &mut item.patch),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in operations {
            let (Some(operation), Some(access)) = (operation.as_mut(), access(method, path)) else { continue };
            let access = match access {
                Access::Public => json!("public"),
                Access::Needs(permission) => json!({
                    "roles": Role::ALL.into_iter().filter(|role| permission.held_by_role(*role)).collect::<Vec<_>>(),
                    "scopes": Scope::ALL.into_iter().filter(|scope| permission.held_by_scopes(&[*scope])).collect::<Vec<_>>(),
                }),
            };
            operation.extensions.get_or_insert_default().insert("x-kiln-access".to_owned(), access);
        }
    }
}

/// The document of all services, as it is committed: pretty JSON.
pub fn text() -> anyhow::Result<String> {
    let document =
        OpenApi::default().merge_from(kiln_auth::api()).merge_from(kiln_scheduler::api()).merge_from(kiln_result::api());
    Ok(complete(document).to_pretty_json()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that is missing there is closed to everybody; this says so before it is served.
    #[test]
    fn every_operation_stands_in_the_table_of_permissions() {
        let document: serde_json::Value = serde_json::from_str(&text().unwrap()).unwrap();
        let mut missing = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if ["get", "post", "put", "patch", "delete"].contains(&method.as_str())
                    && operation.get("x-kiln-access").is_none()
                {
                    missing.push(format!("{method} {path}"));
                }
            }
        }
        assert!(missing.is_empty(), "say who may, in kiln_http::auth::operations: {missing:?}");
    }
}
