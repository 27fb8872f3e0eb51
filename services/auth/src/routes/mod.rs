//! What the service offers over HTTP: one file a resource.

mod api_keys;
mod jwks;
mod login;
mod logout;
mod me;
mod refresh;
mod sign_ins;
mod signup;
mod switch;
mod tenant;
mod ticket;

use axum::extract::DefaultBodyLimit;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// No body here is larger; a password far over its limit still gets its pointer (2 MiB).
const MAX_BODY: usize = 2 << 20;

/// Every route with its full path.
pub fn router(app: App) -> OpenApiRouter {
    routes().with_state(app)
}

/// What the routes say of themselves.
pub fn api() -> OpenApi {
    routes().split_for_parts().1
}

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(signup::signup))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(me::me))
        .routes(routes!(switch::switch))
        .routes(routes!(ticket::create_ticket))
        .routes(routes!(sign_ins::list_sign_ins, sign_ins::end_other_sign_ins))
        .routes(routes!(sign_ins::end_sign_in))
        .routes(routes!(api_keys::create_api_key, api_keys::list_api_keys))
        .routes(routes!(api_keys::get_api_key, api_keys::revoke_api_key))
        .routes(routes!(tenant::get_tenant))
        .routes(routes!(tenant::get_quota))
        .routes(routes!(jwks::jwks))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}
