//! What the service offers over HTTP: one file a resource.

mod admin_tenants;
mod api_keys;
mod audit_log;
mod email_verification;
mod invitations;
mod jwks;
mod login;
mod logout;
mod me;
mod members;
mod password;
mod password_reset;
mod quota;
mod refresh;
mod secrets;
mod sign_ins;
mod signup;
mod switch;
mod tenant;
mod tenants;
mod ticket;
mod usage;

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
        .routes(routes!(password::change_password))
        .routes(routes!(password_reset::request_reset))
        .routes(routes!(password_reset::confirm_reset))
        .routes(routes!(email_verification::request_verification))
        .routes(routes!(email_verification::confirm_verification))
        .routes(routes!(tenant::get_tenant, tenant::change_tenant, tenant::delete_tenant))
        .routes(routes!(tenants::create_tenant))
        .routes(routes!(quota::get_quota))
        .routes(routes!(members::list_members))
        .routes(routes!(members::change_member, members::remove_member))
        .routes(routes!(invitations::create_invitation, invitations::list_invitations))
        .routes(routes!(invitations::withdraw_invitation))
        .routes(routes!(invitations::accept_invitation))
        .routes(routes!(audit_log::list_audit_log))
        .routes(routes!(usage::get_usage))
        .routes(routes!(secrets::list_secrets))
        .routes(routes!(secrets::get_secret, secrets::put_secret, secrets::delete_secret))
        .routes(routes!(admin_tenants::list_all_tenants))
        .routes(routes!(admin_tenants::get_any_tenant, admin_tenants::change_any_tenant))
        .routes(routes!(jwks::jwks))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}
