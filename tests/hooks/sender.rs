//! Messages over HTTP, to receivers that mean harm.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use robocall::adapters::clock::SystemClock;
use robocall::adapters::http::{HookReach, HttpHooks, Lookup};
use robocall::ports::hooks::{HookSender as _, Post, Sent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that does with each connection what it is told to, once a request has come.
struct Server {
    at: SocketAddr,
    /// Requests as they came.
    got: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

async fn server<F: Future<Output = ()> + Send + 'static>(
    answer: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { at: listener.local_addr().unwrap(), got: Arc::default(), connections: Arc::default() };
    let (got, connections, answer) = (Arc::clone(&server.got), Arc::clone(&server.connections), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let (got, answer) = (Arc::clone(&got), Arc::clone(&answer));
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !is_whole(&request) {
                    let mut bytes = [0; 4096];
                    match stream.read(&mut bytes).await {
                        Ok(read) if read > 0 => request.extend_from_slice(&bytes[..read]),
                        _ => return,
                    }
                }
                got.lock().unwrap().push(String::from_utf8(request).unwrap());
                answer(stream).await;
            });
        }
    });
    server
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn says(answer: &'static str) -> impl Fn(TcpStream) -> futures_util::future::BoxFuture<'static, ()> {
    move |mut stream| {
        async move {
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        .boxed()
    }
}

fn reach(allowed: &[&str]) -> HookReach {
    HookReach {
        allowed: allowed.iter().map(|network| network.parse().unwrap()).collect(),
        allow_http: true,
        connect_within: Duration::from_secs(2),
        within: Duration::from_secs(4),
    }
}

fn sender(allowed: &[&str]) -> HttpHooks {
    robocall::tls::install_provider();
    HttpHooks::new(reach(allowed), Arc::new(SystemClock::new())).unwrap()
}

async fn send(sender: &HttpHooks, url: &str) -> Sent {
    let headers = vec![("content-type", "application/json".to_owned()), ("webhook-id", "c-0.1.2".to_owned())];
    let sent = sender.send(Post { url: url.parse().unwrap(), headers, body: b"{\"a\":1}".to_vec() });
    // Generous: what is looked for is whether it ends at all.
    let clock = SystemClock::new();
    let bound =
        robocall::ports::Clock::sleep_until(&clock, robocall::ports::Clock::now(&clock) + Duration::from_secs(60));
    tokio::select! {
        sent = sent => sent,
        () = bound => panic!("it does not end"),
    }
}

fn status(sent: &Sent) -> u16 {
    match sent {
        Sent::Answered { status, .. } => *status,
        Sent::Failed(why) => panic!("{why}"),
    }
}

fn failure(sent: Sent) -> String {
    match sent {
        Sent::Failed(why) => why,
        answered => panic!("{answered:?}"),
    }
}

#[tokio::test]
async fn a_message_arrives_as_it_was_given_and_the_answer_comes_back() {
    let answer = "HTTP/1.1 503 Later\r\nRetry-After: Mon, 05 Jan 2026 09:02:00 GMT\r\nContent-Length: 2\r\n\r\nno";
    let server = server(says(answer)).await;
    let sent = send(&sender(&["127.0.0.0/8"]), &format!("http://{}/hook?x=1", server.at)).await;
    let retry_after = Some("Mon, 05 Jan 2026 09:02:00 GMT".to_owned());
    assert_eq!(sent, Sent::Answered { status: 503, retry_after, body: b"no".to_vec() });
    let got = server.got.lock().unwrap().join("");
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n") && head.contains("webhook-id: c-0.1.2"), "{head}");
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn what_is_ours_is_not_connected_to_however_it_is_written() {
    let server = server(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let (sender, port) = (sender(&[]), server.at.port());
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::]",
    ] {
        let why = failure(send(&sender, &format!("http://{host}:{port}/")).await);
        assert!(why.contains("not on the public internet"), "{host}: {why}");
    }
    let why = failure(send(&sender, "http://169.254.169.254/latest/meta-data/").await);
    assert!(why.contains("not on the public internet"), "{why}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_tls_nothing_is_sent_unless_that_is_allowed() {
    robocall::tls::install_provider();
    let reach = HookReach { allow_http: false, ..reach(&["127.0.0.0/8"]) };
    let sender = HttpHooks::new(reach, Arc::new(SystemClock::new())).unwrap();
    let server = server(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let why = failure(send(&sender, &format!("http://{}/", server.at)).await);
    assert!(why.contains("allow_http"), "{why}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    // And what does not speak TLS is not spoken to.
    failure(send(&sender, &format!("https://{}/", server.at)).await);
}

/// A name that is one address the first time it is asked for, and another ever after.
fn rebinding(first: &str, later: &str) -> (Lookup, Arc<AtomicUsize>) {
    let (first, later): (IpAddr, IpAddr) = (first.parse().unwrap(), later.parse().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |name| {
        assert_eq!(name, "evil.example");
        let answer = if count.fetch_add(1, Ordering::SeqCst) == 0 { first } else { later };
        async move { io::Result::Ok(vec![answer]) }.boxed()
    });
    (lookup, asked)
}

#[tokio::test]
async fn a_name_that_becomes_one_of_ours_is_not_connected_to() {
    robocall::tls::install_provider();
    let closing = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = server(says(closing)).await;
    // 127.0.0.2 stands for the public internet.
    let (lookup, asked) = rebinding("127.0.0.2", "127.0.0.1");
    let clock = Arc::new(SystemClock::new());
    let sender = HttpHooks::with_lookup(reach(&["127.0.0.2"]), clock, lookup).unwrap();
    let url = format!("http://evil.example:{}/", server.at.port());
    // Nobody listens there; what matters is that nothing else is connected to.
    failure(send(&sender, &url).await);
    let why = failure(send(&sender, &url).await);
    assert!(why.contains("evil.example (127.0.0.1) is not on the public internet"), "{why}");
    assert_eq!((server.connections.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)), (0, 2));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_are_connected_to() {
    robocall::tls::install_provider();
    let server = server(says("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let lookup: Lookup =
        Arc::new(|_| async { Ok(vec!["10.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap()]) }.boxed());
    let clock = Arc::new(SystemClock::new());
    let sender = HttpHooks::with_lookup(reach(&["127.0.0.1"]), clock, lookup).unwrap();
    assert_eq!(status(&send(&sender, &format!("http://two.example:{}/", server.at.port())).await), 204);
}

#[tokio::test]
async fn redirections_are_not_followed() {
    let secret = server(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).await;
    let to = secret.at;
    let server = server(move |mut stream| async move {
        let answer = format!("HTTP/1.1 307 There\r\nLocation: http://{to}/\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let sent = send(&sender(&["127.0.0.0/8"]), &format!("http://{}/", server.at)).await;
    assert_eq!((status(&sent), secret.connections.load(Ordering::SeqCst)), (307, 0));
}

#[tokio::test]
async fn one_that_never_answers_or_a_byte_at_a_time_is_given_up() {
    let silent = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let sender = sender(&["127.0.0.0/8"]);
    assert_eq!(failure(send(&sender, &format!("http://{}/", silent.at)).await), "no answer in time");
    let slow = server(|mut stream| async move {
        let clock = SystemClock::new();
        for byte in
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n"
        {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            robocall::ports::Clock::sleep_until(
                &clock,
                robocall::ports::Clock::now(&clock) + Duration::from_millis(500),
            )
            .await;
        }
    })
    .await;
    assert_eq!(failure(send(&sender, &format!("http://{}/", slow.at)).await), "no answer in time");
}

#[tokio::test]
async fn an_answer_without_an_end_is_read_for_a_bounded_time_and_to_a_bounded_length() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let endless = server(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n").await;
            let block = [b'x'; 64 << 10];
            while stream.write_all(&block).await.is_ok() {
                count.fetch_add(block.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    let sender = sender(&["127.0.0.0/8"]);
    let sent = send(&sender, &format!("http://{}/", endless.at)).await;
    let Sent::Answered { status: 200, body, .. } = &sent else { panic!("{sent:?}") };
    assert_eq!(body.len(), 16 << 10);
    let got = written.load(Ordering::SeqCst);
    assert!(got < 64 << 20, "{got} bytes were taken");
    // The rest went with its connection: the next message has another.
    send(&sender, &format!("http://{}/", endless.at)).await;
    assert_eq!(endless.connections.load(Ordering::SeqCst), 2);

    let hanging = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\n123").await;
        std::future::pending::<()>().await;
    })
    .await;
    let sent = send(&sender, &format!("http://{}/", hanging.at)).await;
    assert_eq!(sent, Sent::Answered { status: 202, retry_after: None, body: b"123".to_vec() });
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure_that_does_not_repeat_the_address() {
    let rude = server(says("SSH-2.0-OpenSSH_9.2\r\n\r\n")).await;
    let headers = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n").await.is_ok() {}
    })
    .await;
    let sender = sender(&["127.0.0.0/8"]);
    for at in [rude.at, headers.at] {
        let why = failure(send(&sender, &format!("http://{at}/token-in-path")).await);
        assert!(!why.contains("token-in-path"), "{why}");
    }
    let nobody = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    let why = failure(send(&sender, &format!("http://{nobody}/token-in-path")).await);
    assert!(!why.contains("token-in-path"), "{why}");
}
