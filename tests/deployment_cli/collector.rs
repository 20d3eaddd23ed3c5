//! What takes spans over OTLP, as a collector does.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// Longest wait for spans that ought to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A collector; its thread ends with the program.
pub struct Collector {
    port: u16,
    taken: Arc<(Mutex<Vec<Taken>>, Condvar)>,
}

/// A batch that was sent: to which path, with which headers, and what.
#[derive(Clone)]
pub struct Taken {
    pub head: String,
    pub body: Vec<u8>,
}

impl Taken {
    pub fn read(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(&self.body[..]).unwrap()
    }
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::<(Mutex<Vec<Taken>>, Condvar)>::default();
        let kept = Arc::clone(&taken);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let kept = Arc::clone(&kept);
                // Who sends may go at any time.
                std::thread::spawn(move || serve(&connection?, &kept));
            }
        });
        Self { port, taken }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was sent until now.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.0.lock().unwrap().clone()
    }

    /// All spans that were sent until now.
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.taken().into_iter().flat_map(|taken| taken.read().resource_spans);
        requests.flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect()
    }

    /// Waits until the spans that were sent are enough.
    pub fn until(&self, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut taken = self.taken.0.lock().unwrap();
        loop {
            drop(taken);
            let spans = self.spans();
            if enough(&spans) {
                return spans;
            }
            taken = self.taken.0.lock().unwrap();
            let (guard, waited) = self.taken.1.wait_timeout(taken, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "{spans:#?}");
            taken = guard;
        }
    }
}

fn serve(connection: &TcpStream, kept: &(Mutex<Vec<Taken>>, Condvar)) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body)?;
        kept.0.lock().unwrap().push(Taken { head, body });
        kept.1.notify_all();
        let mut writer = connection;
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// What an attribute says, as text.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}
