//! A broker that answers and gives nothing of its log: that says nothing of what is in it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::adapters::amqp::{BrokerEventLog, ClientError, TailFrom};
use robocall::ports::EventBus as _;
use robocall::ports::hooks::EventLog as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::scene::{Scene, event, soon};
use crate::{broker, scene};

const SILENCE: Duration = Duration::from_secs(1);

/// Frames of the protocol that matter here, by class and method.
const CONSUME: [u8; 4] = [0, 60, 0, 20];
const DELIVER: [u8; 4] = [0, 60, 0, 60];

/// Stands before the broker, and withholds what some consumers are sent.
struct Withholding {
    port: u16,
    shared: Arc<Shared>,
    _listening: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// How many consumers there were, and which of them are sent nothing.
    consumers: Mutex<(u32, Range<u32>)>,
    cuts: watch::Sender<u32>,
}

impl Withholding {
    async fn before(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (port, shared) = (listener.local_addr().unwrap().port(), Arc::new(Shared::default()));
        let for_all = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, broker, Arc::clone(&for_all)));
            }
        });
        Self { port, shared, _listening: AbortOnDropHandle::new(listening) }
    }

    /// The next so many consumers are sent nothing.
    fn withhold(&self, count: u32) {
        let mut consumers = self.shared.consumers.lock().unwrap();
        consumers.1 = consumers.0..consumers.0 + count;
    }

    fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// The next frame: type, channel, length, what is in it, an end mark.
async fn frame(from: &mut OwnedReadHalf) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 7];
    from.read_exact(&mut frame).await?;
    let length = u32::from_be_bytes(frame[3..].try_into().unwrap()) as usize;
    frame.resize(7 + length + 1, 0);
    from.read_exact(&mut frame[7..]).await?;
    Ok(frame)
}

async fn pass(client: TcpStream, broker: SocketAddr, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = TcpStream::connect(broker).await else { return };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    // Which consumer each channel has.
    let channels = Mutex::new(BTreeMap::new());
    let there = async {
        let mut greeting = [0; 8];
        from_client.read_exact(&mut greeting).await?;
        to_server.write_all(&greeting).await?;
        loop {
            let frame = frame(&mut from_client).await?;
            if frame[0] == 1 && frame[7..11] == CONSUME {
                let mut consumers = shared.consumers.lock().unwrap();
                channels.lock().unwrap().insert([frame[1], frame[2]], consumers.0);
                consumers.0 += 1;
            }
            to_server.write_all(&frame).await?;
        }
    };
    let back = async {
        loop {
            let frame = frame(&mut from_server).await?;
            let consumer = channels.lock().unwrap().get(&[frame[1], frame[2]]).copied();
            let is_withheld = consumer.is_some_and(|number| shared.consumers.lock().unwrap().1.contains(&number));
            // A delivery is a method, and what follows it over its channel.
            let is_delivery = matches!(frame[0], 2 | 3) || frame[0] == 1 && frame[7..11] == DELIVER;
            if !(is_withheld && is_delivery) {
                to_client.write_all(&frame).await?;
            }
        }
    };
    let _: std::io::Result<()> = tokio::select! {
        _ = cuts.changed() => Ok(()),
        ended = there => ended,
        ended = back => ended,
    };
}

/// A log of five events, and who stands before it.
async fn five() -> (Scene, Scene, Withholding) {
    let scene = scene();
    let (_, bus) = (scene.ready().await, scene.broker().events());
    for seq in 1..=5 {
        assert_eq!(soon(bus.publish(event(seq))).await, Ok(()));
    }
    let withholding = Withholding::before(broker().address()).await;
    let through = scene.through(broker().url_at(withholding.port));
    (scene, through, withholding)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_gives_nothing_once_is_asked_again_and_not_empty_if_it_begins_anywhere() {
    let (_scene, through, withholding) = five().await;
    let client = through.client();
    withholding.withhold(1);
    assert_eq!(soon(client.end_of_log(SILENCE)).await, Ok(Some(4)));
    // Nothing of its end, twice; but something of its beginning.
    withholding.withhold(2);
    let said = soon(client.end_of_log(SILENCE)).await;
    assert!(matches!(said, Err(ClientError::Unavailable(_))), "{said:?}");
    let log = BrokerEventLog::new(client);
    assert_eq!(soon(log.end()).await, Ok(5));
    let mut reader = soon(log.read(4)).await.unwrap();
    assert_eq!(soon(reader.next()).await.id.as_deref(), Some("r-1.r.5"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_which_there_is_nothing_ends_nowhere() {
    let scene = scene();
    assert_eq!(soon(scene.ready().await.end_of_log(SILENCE)).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_given_nothing_after_a_lost_connection_reads_on_where_it_was() {
    let (scene, through, withholding) = five().await;
    let mut tail = soon(through.client().tail(TailFrom::First)).await.unwrap();
    for _ in 0..5 {
        soon(tail.next()).await;
    }
    // Its own, and the one by which it looks where the log ends.
    withholding.withhold(2);
    withholding.cut();
    let bus = scene.broker().events();
    assert_eq!(soon(bus.publish(event(6))).await, Ok(()));
    assert_eq!(soon(tail.next()).await.id.as_deref(), Some("r-1.r.6"));
}
