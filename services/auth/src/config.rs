//! The settings of the auth service, as delivered unless said otherwise.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

pub use crate::mail::MailConfig;

/// Every duration in seconds, in its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passwords hashed at the same time, each with 19 MiB.
    pub password_threads: usize,
    /// Requests that may wait for that; further ones are answered 503.
    pub password_queue: usize,
    /// Longest such wait.
    pub password_wait_s: u64,
    /// Life of an access token, at most 900.
    pub access_token_s: u64,
    /// A sign-in not refreshed for so long ends.
    pub sign_in_idle_s: u64,
    /// A sign-in ends after so long however often it is refreshed.
    pub sign_in_max_s: u64,
    /// Sign-ups a minute from one address.
    pub signups_per_minute: NonZeroU32,
    /// Mails a minute that may be asked for from one address.
    pub mails_per_minute: NonZeroU32,
    /// Invitations a minute from one address.
    pub invitations_per_minute: NonZeroU32,
    /// Failed logins of one account from one address within the window.
    pub login_failures: u32,
    pub login_window_s: u64,
    /// API keys that one tenant may have at a time.
    pub api_keys_per_tenant: i64,
    /// Tenants that one person may make beside the one of their sign-up.
    pub tenants_per_user: i64,
    /// Address of the web app, for links in mails.
    pub public_url: String,
    pub mail: MailConfig,
    /// A key signs access tokens for so many days, then a new one does.
    pub signing_key_days: u32,
    /// Encrypts tenants' secrets: 32 bytes in base64. None: no secret can be set.
    pub secret_key: Option<SecretString>,
    /// Further keys of the kind, one a line, before that one: the first encrypts. Read again each minute and when the
    /// operator turns the keys over (`kiln admin keys rotate`), so that no restart is needed.
    pub secret_key_file: Option<PathBuf>,
    /// Earlier ones, that still decrypt until all is encrypted anew, which a minute after the start it is.
    pub previous_secret_keys: Vec<SecretString>,
    pub quota: QuotaDefaults,
}

/// What a tenant may use unless it has limits of its own.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaDefaults {
    pub max_concurrent: u64,
    pub max_queued: u64,
    pub executions_per_minute: u64,
    pub cpu_ms_per_day: u64,
    pub max_timeout_ms: u64,
    pub max_memory_bytes: u64,
    pub max_cpu_millis: u64,
    pub max_sessions: u64,
    pub storage_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            password_threads: 4,
            password_queue: 512,
            password_wait_s: 20,
            access_token_s: 15 * 60,
            sign_in_idle_s: 30 * 24 * 3600,
            sign_in_max_s: 90 * 24 * 3600,
            signups_per_minute: const { NonZeroU32::new(60).unwrap() },
            mails_per_minute: const { NonZeroU32::new(20).unwrap() },
            invitations_per_minute: const { NonZeroU32::new(120).unwrap() },
            login_failures: 10,
            login_window_s: 5 * 60,
            api_keys_per_tenant: 100,
            tenants_per_user: 50,
            public_url: "http://127.0.0.1:8080".to_owned(),
            mail: MailConfig::default(),
            signing_key_days: 90,
            secret_key: None,
            secret_key_file: None,
            previous_secret_keys: Vec::new(),
            quota: QuotaDefaults::default(),
        }
    }
}

impl Default for QuotaDefaults {
    fn default() -> Self {
        let most = kiln_domain::LimitRange::DEFAULT.maximum;
        Self {
            max_concurrent: 32,
            max_queued: 10_000,
            executions_per_minute: 60_000,
            // All that 32 runs at once, of two cores each, can use in a day.
            cpu_ms_per_day: 32 * 2 * 24 * 3600 * 1000,
            max_timeout_ms: most.timeout_ms,
            max_memory_bytes: most.memory_bytes,
            max_cpu_millis: most.cpu_millis,
            max_sessions: 8,
            storage_bytes: 10 << 30,
        }
    }
}

impl Config {
    pub(crate) fn password_wait(&self) -> Duration {
        Duration::from_secs(self.password_wait_s)
    }
}
