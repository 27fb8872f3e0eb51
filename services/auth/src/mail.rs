//! Mail: by SMTP where it is configured, else into a directory, else as a line in the operator's log. It is sent off every
//! request's path, so that no answer tells by its time whether an account exists.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kiln_domain::UserId;
use kiln_http::Problem;
use lettre::message::Mailbox;
use lettre::{AsyncFileTransport, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::mail_tokens::{self, Purpose};
use crate::users::{self, User};

/// Mails that wait to be sent; past it they are dropped, with a line in the log.
const QUEUE: usize = 1_000;
const TRIES: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_secs(5);
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// How mail leaves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// `smtps://user:password@host:port`, or `smtp://…?tls=required`.
    pub smtp_url: Option<SecretString>,
    /// `Kiln <kiln@example.org>`; needed for SMTP.
    pub from: Option<String>,
    /// Each message becomes a file in this directory instead.
    pub directory: Option<PathBuf>,
    /// New accounts must prove their address before they can log in again; where SMTP is configured unless said.
    pub verify_addresses: Option<bool>,
}

/// Something to be sent.
enum Job {
    /// A link for a new password, if the folded address has an account.
    Reset {
        folded: String,
    },
    Verify {
        user: User,
    },
    Invite {
        email: String,
        tenant: String,
        link: String,
    },
}

enum Transport {
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
    Directory(AsyncFileTransport<Tokio1Executor>),
    Log,
}

/// Takes mail to be sent; cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    queue: mpsc::Sender<Job>,
    parts: Arc<Parts>,
}

struct Parts {
    transport: Transport,
    from: Mailbox,
    /// Where links lead; never taken from a request.
    public_url: String,
    verifies: bool,
    /// Taken by the task that sends.
    waiting: Mutex<mpsc::Receiver<Job>>,
}

impl Mailer {
    /// `public_url` is the address of the web app, without a slash at its end.
    pub fn new(config: &MailConfig, public_url: &str) -> anyhow::Result<Self> {
        let from = config.from.as_deref().unwrap_or("Kiln <kiln@localhost.localdomain>");
        let transport = match (&config.smtp_url, &config.directory) {
            (Some(url), _) => {
                anyhow::ensure!(config.from.is_some(), "setting auth.mail.from is missing: SMTP needs a sender");
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
                let builder = builder.context("setting auth.mail.smtp_url is no SMTP address")?;
                Transport::Smtp(Box::new(builder.timeout(Some(SEND_WITHIN)).build()))
            }
            (None, Some(directory)) => {
                std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
                Transport::Directory(AsyncFileTransport::new(directory))
            }
            (None, None) => Transport::Log,
        };
        let verifies = config.verify_addresses.unwrap_or(config.smtp_url.is_some());
        let (queue, waiting) = mpsc::channel(QUEUE);
        let from = from.parse().context("setting auth.mail.from is no mailbox")?;
        let public_url = public_url.trim_end_matches('/').to_owned();
        Ok(Self { queue, parts: Arc::new(Parts { transport, from, public_url, verifies, waiting: Mutex::new(waiting) }) })
    }

    /// Whether accounts must prove their address.
    pub fn verifies(&self) -> bool {
        self.parts.verifies
    }

    /// A link to choose a new password goes to this address, if it has an account.
    pub fn send_reset(&self, folded: String) {
        self.add(Job::Reset { folded });
    }

    /// A link that proves the address goes to this person.
    pub fn send_verification(&self, user: &User) {
        self.add(Job::Verify { user: user.clone() });
    }

    pub fn send_invitation(&self, email: &str, tenant: &str, token: &str) {
        let link = self.link("invitations/accept", token);
        self.add(Job::Invite { email: email.to_owned(), tenant: tenant.to_owned(), link });
    }

    /// The token stands behind `#`, which no browser sends to a server or names as a referrer.
    fn link(&self, page: &str, token: &str) -> String {
        format!("{}/{page}#token={token}", self.parts.public_url)
    }

    fn add(&self, job: Job) {
        if self.queue.try_send(job).is_err() {
            tracing::error!("a mail was dropped: {QUEUE} wait already");
        }
    }
}

/// Sends what waits until `shutdown`.
pub async fn run(app: App, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut waiting = app.mailer.parts.waiting.lock().await;
    loop {
        let job = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            Some(job) = waiting.recv() => job,
        };
        if let Err(problem) = send(&app, job).await {
            tracing::warn!(status = %problem.status(), "a mail was given up");
        }
    }
}

async fn send(app: &App, job: Job) -> Result<(), Problem> {
    let mailer = &app.mailer;
    let (address, subject, text) = match job {
        Job::Reset { folded } => {
            let mut tx = app.database.system().await?;
            let Some(known) = users::credentials(&mut tx, &folded).await?.filter(|known| !known.disabled) else { return Ok(()) };
            let Some(link) = token(app, &mut tx, known.user.id, Purpose::PasswordReset, "password-reset").await? else {
                return Ok(());
            };
            tx.commit().await?;
            let text = format!(
                "Somebody asked for a new password for your Kiln account. If it was you, choose one within an hour:\n\n{link}\n\n\
                 If not, nothing needs to be done: your password stays as it is."
            );
            (known.user.email, "Choose a new password", text)
        }
        Job::Verify { user } => {
            let mut tx = app.database.system().await?;
            let Some(link) = token(app, &mut tx, user.id, Purpose::EmailVerification, "verify-email").await? else {
                return Ok(());
            };
            tx.commit().await?;
            (user.email, "Confirm your address", format!("Confirm that this address is yours, within a day:\n\n{link}"))
        }
        Job::Invite { email, tenant, link } => {
            let text = format!("You are invited to {tenant} on Kiln. Sign in with this address and follow the link:\n\n{link}");
            (email, "You are invited", text)
        }
    };
    deliver(mailer, &address, subject, text).await;
    Ok(())
}

async fn token(
    app: &App,
    connection: &mut sqlx::PgConnection,
    user: UserId,
    purpose: Purpose,
    page: &str,
) -> Result<Option<String>, Problem> {
    Ok(mail_tokens::create(connection, user, purpose).await?.map(|token| app.mailer.link(page, &token)))
}

/// Tries a few times; the log names neither the address nor, where mail is really sent, the link.
async fn deliver(mailer: &Mailer, address: &str, subject: &str, text: String) {
    if matches!(mailer.parts.transport, Transport::Log) {
        let link = text.split_whitespace().find(|word| word.contains("#token=")).unwrap_or_default();
        tracing::warn!(subject, link, "no mail can be sent (setting auth.mail); pass this link on to the person");
        return;
    }
    let message = match compose(mailer, address, subject, text) {
        Ok(message) => message,
        Err(error) => return tracing::warn!(error = format!("{error:#}"), subject, "a mail could not be written"),
    };
    for attempt in 1..=TRIES {
        let sent = match &mailer.parts.transport {
            Transport::Smtp(smtp) => smtp.send(message.clone()).await.map(drop).map_err(anyhow::Error::new),
            Transport::Directory(directory) => directory.send(message.clone()).await.map(drop).map_err(anyhow::Error::new),
            Transport::Log => Ok(()),
        };
        match sent {
            Ok(()) => return,
            Err(error) => tracing::warn!(error = format!("{error:#}"), subject, attempt, "a mail was not taken"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
    tracing::error!(subject, "a mail was given up after {TRIES} tries");
}

fn compose(mailer: &Mailer, address: &str, subject: &str, text: String) -> anyhow::Result<Message> {
    let to = Mailbox::new(None, address.parse().context("the address")?);
    let message = Message::builder().from(mailer.parts.from.clone()).to(to).subject(subject);
    message.header(lettre::message::header::ContentType::TEXT_PLAIN).body(text).context("the message")
}
