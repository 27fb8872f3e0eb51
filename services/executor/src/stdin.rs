//! Input of an interactive run: from its subject on the bus to the program, in order, from before its start.

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::StreamExt as _;
use kiln_bus::Bus;
use kiln_domain::ExecutionId;
use kiln_events::{StdinChunk, subject};

use crate::live::Control;
use crate::sandbox::InputError;

/// Hands over what comes until the program's input is closed; runs until it is dropped.
pub async fn pump(bus: Bus, execution: ExecutionId, control: Control) {
    if let Err(error) = deliver(&bus, execution, &control).await {
        tracing::error!(error = format!("{error:#}"), %execution, "input does not reach the program any more");
    }
}

async fn deliver(bus: &Bus, execution: ExecutionId, control: &Control) -> anyhow::Result<()> {
    let config = pull::OrderedConfig {
        filter_subject: subject::stdin(execution),
        deliver_policy: DeliverPolicy::All,
        ..Default::default()
    };
    let stream = bus.jetstream().get_stream_no_info(subject::STDIN).await?;
    let mut chunks = stream.create_consumer(config).await?.messages().await?;
    while let Some(message) = chunks.next().await {
        let chunk: StdinChunk = serde_json::from_slice(&message?.payload)?;
        let given = async {
            if !chunk.data.is_empty() {
                control.stdin(chunk.data.into()).await?;
            }
            if chunk.eof { control.close_stdin().await } else { Ok(()) }
        };
        match given.await {
            Ok(()) if chunk.eof => return Ok(()),
            Ok(()) => {}
            Err(InputError::Closed | InputError::NotInteractive) => return Ok(()),
            Err(error @ (InputError::TooLarge | InputError::UnknownSignal(_))) => {
                tracing::warn!(%error, %execution, "input was refused");
            }
        }
    }
    Ok(())
}
