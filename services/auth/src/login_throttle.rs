//! Failed logins of one account from one address, or one IPv6 network of a subscriber's. Counting by both means that nobody can lock a victim out from
//! elsewhere; the attempt is counted before the password is looked at, so that parallel guesses gain nothing.

use std::net::IpAddr;

use kiln_http::auth::ClientAddress;
use kiln_http::{Problem, Standing};
use sqlx::PgConnection;

use crate::config::Config;
use crate::refresh::digest;

/// One counted attempt.
pub struct Attempt {
    account: [u8; 32],
    address: String,
    /// For the answer, should the password be wrong.
    pub standing: Standing,
}

/// Counts an attempt as failed, or refuses it with 429.
pub async fn begin(connection: &mut PgConnection, config: &Config, account: &str, address: IpAddr) -> Result<Attempt, Problem> {
    let account = digest(account);
    let address = ClientAddress(address).network().to_string();
    let row = sqlx::query!(
        r#"INSERT INTO auth.login_failures AS f (account, address, failures) VALUES ($1, ($2::text)::inet, 1)
           ON CONFLICT (account, address) DO UPDATE SET
               failures = CASE WHEN f.window_started_at < now() - make_interval(secs => $3) THEN 1 ELSE least(f.failures, $4) + 1 END,
               window_started_at =
                   CASE WHEN f.window_started_at < now() - make_interval(secs => $3) THEN now() ELSE f.window_started_at END
           RETURNING failures,
               ceil(extract(epoch FROM window_started_at + make_interval(secs => $3) - now()))::bigint AS "left_s!""#,
        &account[..],
        address,
        f64::from(u32::try_from(config.login_window_s).unwrap_or(u32::MAX)),
        i32::try_from(config.login_failures).unwrap_or(i32::MAX),
    )
    .fetch_one(connection)
    .await?;
    let failures = u32::try_from(row.failures).unwrap_or(u32::MAX);
    let reset_s = u64::try_from(row.left_s).unwrap_or_default().max(1);
    let remaining = config.login_failures.saturating_sub(failures);
    let (quota, window_s) = (config.login_failures, config.login_window_s);
    let standing = Standing { name: "login", quota, window_s, remaining, reset_s };
    if failures > quota {
        let detail = "Too many failed logins of this account from this address; wait and try again.";
        return Err(standing.refusal("too_many_failed_logins", detail));
    }
    Ok(Attempt { account, address, standing })
}

impl Attempt {
    /// The password was right: what failed before is forgiven.
    pub async fn succeeded(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "DELETE FROM auth.login_failures WHERE account = $1 AND address = ($2::text)::inet",
            &self.account[..],
            self.address
        )
        .execute(connection)
        .await
        .map(drop)
    }
}
