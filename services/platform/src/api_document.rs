//! The OpenAPI document: the services' routes under one title, with how to authenticate.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi};

/// Where it is served.
pub const PATH: &str = "/api/v1/openapi.json";

/// Adds what no single service can say.
pub fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Kiln")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A multi-tenant, self-hosted service that runs Python. Errors are RFC 9457 problem documents."))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    // Axum writes the rest of a path as `{*path}`; OpenAPI knows only `{path}`.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("An access token from /api/v1/auth/login, or an API key.".to_owned());
    document.components.get_or_insert_with(Components::new).add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document
}

/// The document of all services, as it is committed: pretty JSON.
pub fn text() -> anyhow::Result<String> {
    let document =
        OpenApi::default().merge_from(kiln_auth::api()).merge_from(kiln_scheduler::api()).merge_from(kiln_result::api());
    Ok(complete(document).to_pretty_json()?)
}
