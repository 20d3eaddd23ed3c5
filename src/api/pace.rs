//! A least pace at which what is read for somebody must be taken: whoever is slower is cut off, so that nobody keeps a place,
//! and a connection to the server behind it, by taking a little now and then.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc::channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::room::Place;
use crate::ports::{ArchiveError, Clock};

/// What must be taken, in bytes, for each [`WITHIN`] that it waited to be: 8 KiB a second.
const STRETCH: usize = 30 * (8 << 10);

/// How long a stretch may wait to be taken.
const WITHIN: Duration = Duration::from_secs(30);

/// Most bytes that are handed on at a time.
const PIECE: usize = 16 << 10;

/// What is read, for whoever takes it in time; if they do not, their connection is cut. Only what waits for them counts: while
/// nothing comes they need not take anything. The place is given back with the last byte, or with what this answers.
pub(super) fn paced(
    mut source: BoxStream<'static, Result<Vec<u8>, ArchiveError>>,
    clock: Arc<dyn Clock>,
    connection: CancellationToken,
    place: Place,
) -> impl Stream<Item = Result<Bytes, ArchiveError>> + Send + 'static {
    let (hands_on, taken) = channel(1);
    let feeding = async move {
        let _held = place;
        let (mut left, mut bytes) = (WITHIN, 0);
        while let Some(read) = source.next().await {
            for piece in pieces(read) {
                let (length, since) = (piece.as_ref().map_or(0, Bytes::len), clock.now());
                let sent = tokio::select! {
                    biased;
                    sent = hands_on.send(piece) => sent.is_ok(),
                    () = clock.sleep_until(since + left) => {
                        tracing::info!("whoever reads a recording takes too little of it: cut off");
                        connection.cancel();
                        false
                    }
                };
                if !sent {
                    return;
                }
                left = left.saturating_sub(clock.now().since(since));
                bytes += length;
                if bytes >= STRETCH {
                    (left, bytes) = (WITHIN, 0);
                }
            }
        }
    };
    let feeding = AbortOnDropHandle::new(tokio::spawn(feeding.in_current_span()));
    stream::unfold((taken, feeding), |(mut taken, feeding)| async move {
        let piece = taken.recv().await?;
        Some((piece, (taken, feeding)))
    })
}

/// What was read, in small pieces; what went wrong is one.
fn pieces(read: Result<Vec<u8>, ArchiveError>) -> Vec<Result<Bytes, ArchiveError>> {
    match read {
        Ok(read) => {
            let read = Bytes::from(read);
            let ends = (0..read.len()).step_by(PIECE);
            ends.map(|from| Ok(read.slice(from..read.len().min(from + PIECE)))).collect()
        }
        Err(error) => vec![Err(error)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::VirtualClock;

    type Source = BoxStream<'static, Result<Vec<u8>, ArchiveError>>;

    const MIB: usize = 1 << 20;

    /// Takes a piece, and again after each of these pauses, in seconds; how many bytes it has then, and whether it was cut off.
    fn taking(pauses: Vec<f64>, source: impl FnOnce(Arc<dyn Clock>) -> Source + Send + 'static) -> (usize, bool) {
        let clock = Arc::new(VirtualClock::for_tests(Duration::from_secs(24 * 3600)));
        let time: Arc<dyn Clock> = Arc::<VirtualClock>::clone(&clock);
        let taken = clock.run(async move {
            let connection = CancellationToken::new();
            let paced = paced(source(Arc::clone(&time)), Arc::clone(&time), connection.clone(), Place::default());
            let (mut paced, mut bytes) = (Box::pin(paced), 0);
            for pause in pauses {
                let Some(piece) = paced.next().await else { break };
                bytes += piece.unwrap().len();
                time.sleep_until(time.now() + Duration::from_secs_f64(pause)).await;
            }
            (bytes, connection.is_cancelled())
        });
        taken.unwrap()
    }

    fn sound(bytes: usize) -> impl FnOnce(Arc<dyn Clock>) -> Source + Send + 'static {
        move |_| stream::iter([Ok(vec![7; bytes])]).boxed()
    }

    #[test]
    fn whoever_takes_just_enough_is_not_cut_off() {
        // Sixteen KiB every two seconds are eight a second.
        assert_eq!(taking(vec![1.99; 64], sound(MIB)), (MIB, false));
        // After a pause, what is taken at once makes up for it.
        let in_bursts: Vec<f64> = [29.0].into_iter().chain([0.0; 15]).cycle().take(64).collect();
        assert_eq!(taking(in_bursts, sound(MIB)), (MIB, false));
    }

    #[test]
    fn whoever_takes_less_is_cut_off_though_they_take_something_all_the_time() {
        let (bytes, was_cut) = taking(vec![2.5; 64], sound(MIB));
        assert!(was_cut && bytes < MIB / 2, "{bytes}");
        let (bytes, was_cut) = taking(vec![31.0, 0.0, 0.0], sound(MIB));
        assert!(was_cut && bytes <= 3 * PIECE, "{bytes}");
    }

    #[test]
    fn whoever_waits_for_what_does_not_come_is_not_cut_off() {
        let slowly = |clock: Arc<dyn Clock>| {
            let pieces = stream::iter(0..5).then(move |_| {
                let later = clock.sleep_until(clock.now() + Duration::from_secs(100));
                async move {
                    later.await;
                    Ok(vec![7; 10])
                }
            });
            pieces.boxed()
        };
        assert_eq!(taking(vec![0.0; 9], slowly), (50, false));
    }
}
