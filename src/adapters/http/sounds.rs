//! Prompts for telephony servers that fetch them: a folder of files which never change, called by their hashes.
//!
//! Nothing else of the folder is served, whatever is asked for, and nobody may write.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// Letters of a prompt's name before `.wav`.
const NAME: usize = 64;

/// Files that are read at a time; others wait.
const READ_AT_A_TIME: usize = 16;

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error("nobody can listen at {at}: {error}")]
pub struct SoundsError {
    at: String,
    error: io::Error,
}

/// A server of prompts.
pub struct Sounds {
    listener: TcpListener,
    folder: Arc<Folder>,
}

struct Folder {
    path: PathBuf,
    places: tokio::sync::Semaphore,
}

impl Sounds {
    /// Listens at `host:port` for whoever fetches prompts of a folder: `{url}/{hash}.wav`, whatever stands before.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub async fn listen(at: &str, folder: &Path) -> Result<Self, SoundsError> {
        let listener = TcpListener::bind(at).await.map_err(|error| SoundsError { at: at.to_owned(), error })?;
        let places = tokio::sync::Semaphore::new(READ_AT_A_TIME);
        Ok(Self { listener, folder: Arc::new(Folder { path: folder.to_owned(), places }) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for as long as the future is held.
    pub async fn serve(self) {
        // Everything that is no GET or HEAD is refused by the router.
        let router = Router::new().fallback_service(get(sound).with_state(self.folder));
        if let Err(error) = axum::serve(self.listener, router).await {
            tracing::error!(%error, "prompts are not served any more");
        }
    }
}

/// The name of a prompt in what was asked for: its last part, if that is a hash and `.wav`.
fn asked_for(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_suffix(".wav")?;
    let is_hash = name.len() == NAME && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then_some(name)
}

async fn sound(State(folder): State<Arc<Folder>>, request: Request) -> Response {
    let Some(name) = asked_for(request.uri().path()) else { return StatusCode::NOT_FOUND.into_response() };
    let tag = format!("\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, "audio/wav".to_owned()),
        // A name is the hash of what is heard: there is never another sound under it.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::ETAG, tag.clone()),
    ];
    if is_known(request.headers(), &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let path = folder.path.join(&name[..2]).join(name).with_extension("wav");
    // Never closed.
    let Ok(_place) = folder.places.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match tokio::task::spawn_blocking(move || std::fs::read(path)).await {
        Ok(Ok(bytes)) => (headers, bytes).into_response(),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

/// Whether whoever asks has it already.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|tags| tags.to_str().ok());
    let mut tags = tags.flat_map(|tags| tags.split(',')).map(|known| known.trim().trim_start_matches("W/"));
    tags.any(|known| known == tag || known == "*")
}

fn failed(error: &dyn std::fmt::Display) -> Response {
    tracing::warn!(%error, "a prompt cannot be served");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_prompts_mean_anything() {
        let name = "0af9".repeat(16);
        for path in [format!("/{name}.wav"), format!("/sounds/x/{name}.wav")] {
            assert_eq!(asked_for(&path), Some(name.as_str()));
        }
        let long = format!("/{name}0.wav");
        let upper = format!("/{}.wav", name.to_uppercase());
        for path in ["/", "/a.wav", "/../../etc/passwd", &long, &upper, &format!("/{name}"), &format!("/{name}.wav/")] {
            assert_eq!(asked_for(path), None, "{path}");
        }
    }

    #[test]
    fn who_has_it_is_told_so() {
        let mut headers = HeaderMap::new();
        assert!(!is_known(&headers, "\"a\""));
        headers.insert(header::IF_NONE_MATCH, "\"b\", W/\"a\"".parse().unwrap());
        assert!(is_known(&headers, "\"a\"") && !is_known(&headers, "\"c\""));
    }
}
