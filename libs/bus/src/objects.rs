//! Large bodies in the object store.

use async_nats::jetstream::object_store::ObjectStore;
use kiln_events::subject;
use tokio::io::AsyncRead;

use crate::Bus;

#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("the object store cannot be reached")]
    Store(#[source] anyhow::Error),
    #[error("no object {0}")]
    Missing(String),
}

fn store_error(error: impl Into<anyhow::Error>) -> ObjectError {
    ObjectError::Store(error.into())
}

impl Bus {
    async fn object_store(&self) -> Result<ObjectStore, ObjectError> {
        self.jetstream.get_object_store(subject::OBJECTS).await.map_err(store_error)
    }

    /// Stores everything that `reader` gives under `name`, replacing what was there.
    pub async fn put_object<R: AsyncRead + Unpin>(&self, name: &str, reader: &mut R) -> Result<(), ObjectError> {
        self.object_store().await?.put(name, reader).await.map_err(store_error).map(drop)
    }

    /// A reader of the object and its size in bytes.
    pub async fn get_object(&self, name: &str) -> Result<(u64, impl AsyncRead + Send + Unpin + 'static), ObjectError> {
        let store = self.object_store().await?;
        match store.get(name).await {
            Ok(object) => Ok((object.info().size as u64, object)),
            Err(error) if matches!(error.kind(), async_nats::jetstream::object_store::GetErrorKind::NotFound) => {
                Err(ObjectError::Missing(name.to_owned()))
            }
            Err(error) => Err(store_error(error)),
        }
    }

    /// Removes the object; one that is not there is no error.
    pub async fn delete_object(&self, name: &str) -> Result<(), ObjectError> {
        let store = self.object_store().await?;
        match store.delete(name).await {
            Ok(()) => Ok(()),
            Err(error) if matches!(error.kind(), async_nats::jetstream::object_store::DeleteErrorKind::NotFound) => Ok(()),
            Err(error) => Err(store_error(error)),
        }
    }
}
