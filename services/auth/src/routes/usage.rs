//! `GET /tenant/usage`: what the tenant has used, from the kernel's counters, by day, maker or runtime.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use kiln_events::{UsageGroup, UsageSums, UsageSumsReply, subject};
use kiln_http::auth::Caller;
use kiln_http::{ApiQuery, Problem, ProblemDocument};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;

const DEADLINE: Duration = Duration::from_secs(3);
/// Days told of unless said, and at most.
const DEFAULT_DAYS: i64 = 30;
const MOST_DAYS: i32 = 366;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// First day (UTC), or a time on it; 29 days before the last unless given.
    from: Option<String>,
    /// Last day (UTC), or a time on it; today unless given.
    to: Option<String>,
    /// `day`, `user` or `runtime`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    group_by: UsageGroup,
}

#[derive(Serialize, ToSchema)]
pub struct UsageReport {
    #[schema(value_type = String, format = Date)]
    from: Date,
    #[schema(value_type = String, format = Date)]
    to: Date,
    #[schema(value_type = String)]
    group_by: UsageGroup,
    /// Kept now.
    storage_bytes: u64,
    /// Days in order; of the others those that used most CPU time first.
    data: Vec<UsageLine>,
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct UsageLine {
    /// A day, the id of a user or API key, or a runtime.
    group: String,
    executions: u64,
    cpu_ms: u64,
    wall_ms: u64,
    /// Peak memory times wall time.
    memory_byte_ms: u128,
}

/// What the tenant has used
#[utoipa::path(get, path = "/api/v1/tenant/usage", tag = "tenant", security(("bearer" = [])), params(UsageQuery), responses(
    (status = 200, body = UsageReport),
    (status = 400, body = ProblemDocument),
    (status = 401, body = ProblemDocument),
    (status = 403, body = ProblemDocument),
    (status = 503, body = ProblemDocument, description = "It cannot be told now."),
))]
pub async fn get_usage(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UsageQuery>,
) -> Result<Json<UsageReport>, Problem> {
    let (from, to) = range(&query, Timestamp::now())?;
    let sums = UsageSums { tenant_id: caller.tenant_id, from, to, group_by: query.group_by };
    let reply: UsageSumsReply = app.bus.request(&subject::control("scheduler", "usage_sums"), &sums, DEADLINE).await?;
    let storage_bytes = reply.storage_bytes;
    let data = reply.rows.into_iter().map(|row| UsageLine {
        group: row.group,
        executions: row.executions,
        cpu_ms: row.cpu_ms,
        wall_ms: row.wall_ms,
        memory_byte_ms: row.memory_byte_ms,
    });
    Ok(Json(UsageReport { from, to, group_by: query.group_by, storage_bytes, data: data.collect(), next_cursor: None }))
}

/// The days asked for, in order and not too many.
fn range(query: &UsageQuery, now: Timestamp) -> Result<(Date, Date), Problem> {
    let day = |name: &str, given: &Option<String>| given.as_deref().map(|text| parse(name, text)).transpose();
    let to = day("to", &query.to)?.unwrap_or_else(|| utc_day(now));
    let from = match day("from", &query.from)? {
        Some(from) => from,
        None => to.checked_sub((DEFAULT_DAYS - 1).days()).map_err(|_| Problem::bad_request("to is too early."))?,
    };
    let days = from.until(to).map_err(Problem::internal)?.get_days() + 1;
    if (1..=MOST_DAYS).contains(&days) {
        Ok((from, to))
    } else {
        Err(Problem::bad_request(format!("from and to must span 1 to {MOST_DAYS} days.")))
    }
}

fn parse(name: &str, text: &str) -> Result<Date, Problem> {
    let day = text.parse::<Timestamp>().map(utc_day).or_else(|_| text.parse::<Date>());
    day.map_err(|_| Problem::bad_request(format!("{name} must be a day such as 2026-01-31, or a time in RFC 3339.")))
}

fn utc_day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from: Option<&str>, to: Option<&str>) -> Option<(String, String)> {
        let query = UsageQuery { from: from.map(str::to_owned), to: to.map(str::to_owned), group_by: UsageGroup::Day };
        let (from, to) = range(&query, "2026-03-31T23:00:00Z".parse().unwrap()).ok()?;
        Some((from.to_string(), to.to_string()))
    }

    #[test]
    fn days_may_be_given_as_days_or_times() {
        assert_eq!(days(None, None), Some(("2026-03-02".into(), "2026-03-31".into())));
        assert_eq!(days(Some("2026-01-01"), Some("2026-01-01T23:30:00-01:00")), Some(("2026-01-01".into(), "2026-01-02".into())));
        for (from, to) in [("2026-02-01", "2026-01-01"), ("2020-01-01", "2026-01-01"), ("yesterday", "2026-01-01"), ("", "")] {
            assert_eq!(days(Some(from), Some(to)), None, "{from} {to}");
        }
    }
}
