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
    name_move(&mut document);
    document.info = InfoBuilder::new()
        .title("Kiln")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A multi-tenant, self-hosted service that runs Python. Errors are RFC 9457 problem documents."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    complete_operations(&mut document);
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("An access token from /api/v1/auth/login, or an API key.".to_owned());
    document.components.get_or_insert_with(Components::new).add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// The router has no route below the rest of a path, so the document says what the handler tells apart.
fn name_move(document: &mut OpenApi) {
    const FILE: &str = "/api/v1/workspaces/{id}/files/{path}";
    let paths = &mut document.paths.paths;
    if let Some(post) = paths.get_mut(FILE).and_then(|item| item.post.take()) {
        paths.insert(format!("{FILE}/move"), utoipa::openapi::PathItem::new(utoipa::openapi::HttpMethod::Post, post));
    }
}

/// Adds to each operation who may use it, from the table that the services enforce: `public`, or the roles and scopes that
/// let one in. An operation that has its name from a function gets it in the form of all others.
fn complete_operations(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("GET", &mut item.get),
            ("POST", &mut item.post),
            ("PUT", &mut item.put),
            ("PATCH", &mut item.patch),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            operation.operation_id = operation.operation_id.as_deref().map(camel_case);
            let Some(access) = access(method, path) else { continue };
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

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        name + &head.to_ascii_uppercase() + tail
    })
}

/// The document of all services, as it is committed: pretty JSON.
pub fn text() -> anyhow::Result<String> {
    let document = services().into_iter().fold(OpenApi::default(), OpenApi::merge_from);
    Ok(complete(document).to_pretty_json()?)
}

fn services() -> [OpenApi; 4] {
    [kiln_auth::api(), kiln_scheduler::api(), kiln_result::api(), kiln_executor::api()]
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

    /// Of two schemas of one name the merge keeps the first, and the other's clients would be told something false.
    #[test]
    fn a_schema_is_the_same_in_every_service() {
        let mut known = std::collections::BTreeMap::new();
        for service in services() {
            for (name, schema) in service.components.unwrap().schemas {
                let schema = json!(schema);
                let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*first, schema, "two schemas are called {name}");
            }
        }
    }

    /// The chart's Ingress splits the API by path; each service must get what it serves.
    #[test]
    fn the_chart_leads_every_route_to_its_service() {
        let routes: serde_json::Value = serde_json::from_str(include_str!("../../../helm/kiln/files/routes.json")).unwrap();
        let leads_to = |path: &str| {
            let found = routes.as_object().unwrap().iter().flat_map(|(service, routes)| {
                routes.as_array().unwrap().iter().filter_map(move |route| {
                    let (prefix, exact) = (route["path"].as_str().unwrap(), route["match"] == "Exact");
                    let below = path.strip_prefix(prefix.trim_end_matches('/'));
                    let fits =
                        if exact { path == prefix } else { below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) };
                    fits.then(|| (exact, prefix.len(), service.clone()))
                })
            });
            found.max().unwrap().2
        };
        for (service, document) in ["auth", "scheduler", "result", "executor"].into_iter().zip(services()) {
            for path in document.paths.paths.keys() {
                assert_eq!(leads_to(path), service, "{path}: helm/kiln/files/routes.json");
            }
        }
        assert_eq!(leads_to("/"), "web");
        assert_eq!(leads_to("/runs/1"), "web");
    }

    #[test]
    fn names_of_operations_have_one_form() {
        assert_eq!(["me", "list_api_keys", "getExecution"].map(camel_case), ["me", "listApiKeys", "getExecution"]);
    }
}
