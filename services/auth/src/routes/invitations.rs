//! `/tenant/invitations` and `/invitations/accept`: how people come to a tenant.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kiln_domain::Role;
use kiln_http::auth::{Caller, ClientAddress, Principal};
use kiln_http::{
    ApiJson, ApiPath, ApiQuery, Begun, Body, FieldError, Idempotency, Keyed, Page, PageQuery, Problem, ProblemDocument,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::email::Email;
use crate::invitations::{self, Accepted, Invitation};
use crate::sign_ins::Device;
use crate::users::{self, Membership};
use crate::{audit, tenants};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationRequest {
    email: String,
    /// `viewer`, `member` or `admin`; `owner` by owners only.
    #[serde(default = "member")]
    #[schema(value_type = String, default = "member")]
    role: Role,
}

fn member() -> Role {
    Role::Member
}

#[derive(Serialize, ToSchema)]
pub struct CreatedInvitation {
    /// What the invited person accepts with. It is shown this once.
    token: String,
    #[serde(flatten)]
    invitation: Invitation,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    token: String,
}

/// Invite somebody
///
/// An earlier invitation of the same address is replaced. Mail goes out where it is configured.
#[utoipa::path(post, path = "/api/v1/tenant/invitations", tag = "tenant", security(("bearer" = [])), request_body = InvitationRequest,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 201, body = CreatedInvitation),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 409, body = ProblemDocument, description = "Too many are open."),
    (status = 422, body = ProblemDocument),
    (status = 429, body = ProblemDocument, description = "Too many invitations from this address."),
))]
pub async fn create_invitation(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    idempotency: Idempotency,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let keyed = Keyed {
        database: &app.database,
        tenant: caller.tenant_id,
        route: "POST /api/v1/tenant/invitations",
        idempotency,
        query: query.as_deref().unwrap_or_default(),
        body: &body.0,
    };
    let hold = match keyed.begin_sealed().await? {
        Begun::Mine(hold) => hold,
        Begun::Replay(response) => return Ok(response),
        Begun::Made(_) => return Err(Problem::internal("an invitation is never bound to its idempotency key")),
    };
    // In a task of its own: a caller that hangs up must not leave the idempotency key held.
    let creator = app.clone();
    let work = async move {
        let answer = create(&creator, &caller, &device, &body).await;
        hold.finish(answer).await
    };
    app.requests.spawn(work).await.map_err(Problem::internal)?
}

async fn create(app: &App, caller: &Caller, device: &Device, body: &Body) -> Result<Response, Problem> {
    let request: InvitationRequest = body.json()?;
    let email =
        Email::parse(&request.email).map_err(|error| Problem::invalid(vec![FieldError::new("/email", error.to_string())]))?;
    let is_owner = matches!(caller.principal, Principal::User { role: Role::Owner, .. });
    if request.role == Role::Owner && !is_owner {
        return Err(Problem::forbidden("Only an owner may make owners."));
    }
    app.take_invitation(ClientAddress(device.address))?;
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    tenants::hold(&mut tx, caller.tenant_id).await?;
    let (invitation, token) = invitations::create(&mut tx, &email, request.role, caller.actor()).await?;
    let tenant = tenants::find(&mut tx, caller.tenant_id).await?.ok_or_else(Problem::not_found)?;
    let mut entry = audit::Entry::by(caller, device.address, "invitation.created", &invitation.id);
    entry.after = Some(serde_json::json!({"email": invitation.email, "role": invitation.role}));
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.mailer.send_invitation(email.as_str(), &tenant.name, &token);
    Ok((StatusCode::CREATED, Json(CreatedInvitation { token, invitation })).into_response())
}

/// List open invitations
#[utoipa::path(get, path = "/api/v1/tenant/invitations", tag = "tenant", security(("bearer" = [])), params(PageQuery), responses(
    (status = 200, body = Page<Invitation>),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
))]
pub async fn list_invitations(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Invitation>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let rows = invitations::list(&mut tx, after, limit + 1).await?;
    tx.commit().await?;
    Ok(Json(Page::from_rows(rows, limit, |row| row.id)))
}

/// Withdraw an invitation
#[utoipa::path(delete, path = "/api/v1/tenant/invitations/{id}", tag = "tenant", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), responses(
    (status = 204),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 404, body = ProblemDocument),
))]
pub async fn withdraw_invitation(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.database.tenant(caller.tenant_id).await?;
    let (email, role) = invitations::withdraw(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let mut entry = audit::Entry::by(&caller, device.address, "invitation.withdrawn", &id);
    entry.before = Some(serde_json::json!({"email": email, "role": role}));
    entry.write(&mut tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept an invitation
///
/// By the account whose address was invited. POST /auth/switch then gives tokens for the tenant.
#[utoipa::path(post, path = "/api/v1/invitations/accept", tag = "tenant", security(("bearer" = [])), request_body = Acceptance, responses(
    (status = 200, body = Membership),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument, description = "The invitation is for another address."),
    (status = 409, body = ProblemDocument, description = "The account belongs to the tenant already."),
    (status = 422, body = ProblemDocument, description = "The token is not good."),
))]
pub async fn accept_invitation(
    State(app): State<App>,
    caller: Caller,
    device: Device,
    ApiJson(request): ApiJson<Acceptance>,
) -> Result<Json<Membership>, Problem> {
    let identity = caller.user()?;
    let mut tx = app.database.system().await?;
    let user = users::find(&mut tx, identity.user_id).await?.ok_or_else(Problem::not_found)?;
    let invited = invitations::find(&mut tx, &request.token).await?;
    let refused = || Problem::invalid_field("/token", "is not valid, was withdrawn, or has expired");
    let invited = invited.ok_or_else(refused)?;
    let own = Email::parse(&user.email).map_err(Problem::internal)?;
    if own.folded() != invited.email_folded {
        return Err(Problem::forbidden("This invitation is for another e-mail address."));
    }
    if app.mailer.verifies() && !user.email_verified {
        let detail = "Confirm your address first; a link was sent to it.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "email_not_verified", detail));
    }
    tenants::hold(&mut tx, invited.tenant_id).await?;
    let accepted = invitations::accept(&mut tx, &invited, user.id).await?;
    if accepted == Accepted::Gone {
        return Err(refused());
    }
    if accepted == Accepted::Joined {
        let joined_as = audit::Entry {
            tenant_id: Some(invited.tenant_id),
            ..audit::Entry::by(&caller, device.address, "member.joined", &user.id)
        };
        let after = Some(serde_json::json!({"role": invited.role, "invitation": invited.id}));
        audit::Entry { after, ..joined_as }.write(&mut tx).await?;
    }
    let membership = users::memberships(&mut tx, user.id).await?.into_iter().find(|found| found.id == invited.tenant_id);
    tx.commit().await?;
    if accepted == Accepted::Belongs {
        return Err(Problem::conflict("already_a_member", "This account belongs to the tenant already."));
    }
    membership.map(Json).ok_or_else(Problem::not_found)
}
