//! Secrets of a run: named when it is submitted, and fetched for whoever has claimed its attempt. The scheduler keeps names
//! alone; values pass through, and are never logged.

use std::time::Duration;

use kiln_events::{AttemptSecrets, ResolveSecrets, ResolveSecretsReply, subject};
use kiln_http::{FieldError, Problem};

use crate::routes::NO_SECRET;
use crate::store::NewExecution;
use crate::{Scheduler, store};

const DEADLINE: Duration = Duration::from_secs(3);

impl Scheduler {
    /// 422 with a pointer to each secret that the tenant does not have.
    pub(crate) async fn require_secrets(&self, new: &NewExecution) -> Result<(), Problem> {
        if new.secrets.is_empty() {
            return Ok(());
        }
        let query = ResolveSecrets { tenant_id: new.tenant, names: new.secrets.clone(), values: false };
        let known: ResolveSecretsReply = self.bus.request(&subject::control("auth", "secrets"), &query, DEADLINE).await?;
        let unknown = new.secrets.iter().enumerate().filter(|(_, name)| !known.secrets.contains_key(*name));
        let errors: Vec<_> = unknown.map(|(at, _)| FieldError::new(format!("/secrets/{at}"), NO_SECRET)).collect();
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }

    /// For the executor that holds the attempt: its secrets with their values. One deleted meanwhile is left out.
    pub(crate) async fn secrets_of(&self, query: AttemptSecrets) -> anyhow::Result<ResolveSecretsReply> {
        let mut tx = self.database.system().await?;
        let names = store::secrets_of_attempt(&mut tx, &query).await?;
        tx.commit().await?;
        let Some(names) = names.filter(|names| !names.is_empty()) else { return Ok(ResolveSecretsReply::default()) };
        let query = ResolveSecrets { tenant_id: query.tenant_id, names, values: true };
        Ok(self.bus.request(&subject::control("auth", "secrets"), &query, DEADLINE).await?)
    }
}
