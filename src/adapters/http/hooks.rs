//! Messages to webhooks: one request, no redirections, no proxies, to addresses that may be connected to.
//!
//! **Invariants**
//! - Whatever name is asked for, and whatever it is said to be at which moment, what is connected to has been looked at: the
//!   addresses that were judged are the ones that are connected to.
//! - No answer takes more than a bounded time and a bounded number of bytes; the rest goes with its connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, Url};

use crate::policy::network::{Network, may_be_reached};
use crate::ports::Clock;
use crate::ports::hooks::{HookSender, Post, Sent};

/// Most bytes of an answer that are read.
const MOST_READ: usize = 16 << 10;

/// How long the body of an answer may take, once its head is there.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// Connections that nobody uses are closed after so long, and so many are kept for each receiver.
const IDLE: Duration = Duration::from_secs(20);
const MOST_IDLE: usize = 2;

/// Whom messages may be sent to, and how long that may take.
#[derive(Clone, Debug)]
pub struct HookReach {
    /// Networks that may be connected to besides the public internet.
    pub allowed: Vec<Network>,
    /// Whether messages may be sent without TLS.
    pub allow_http: bool,
    /// How long connecting may take.
    pub connect_within: Duration,
    /// How long all of it may take.
    pub within: Duration,
}

/// Addresses of a name.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Somebody who sends over HTTP.
pub struct HttpHooks {
    client: Client,
    allowed: Arc<[Network]>,
    allow_http: bool,
    clock: Arc<dyn Clock>,
}

/// An address that may not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not on the public internet, nor allowed by `hooks.allow`")]
struct OffLimits(String);

impl HttpHooks {
    /// Asks the system for addresses.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(reach: HookReach, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let lookup: Lookup = Arc::new(|name| {
            async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            }
            .boxed()
        });
        Self::with_lookup(reach, clock, lookup)
    }

    /// Asks somebody else for addresses.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn with_lookup(reach: HookReach, clock: Arc<dyn Clock>, lookup: Lookup) -> Result<Self, String> {
        let allowed: Arc<[Network]> = reach.allowed.into();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("robocall/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(reach.connect_within)
            .timeout(reach.within)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .dns_resolver(Arc::new(Judge { lookup, allowed: Arc::clone(&allowed) }))
            .build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, allowed, allow_http: reach.allow_http, clock })
    }

    /// The address, if messages may be sent there as far as can be said before its name is looked up.
    fn target(&self, url: &str) -> Result<Url, String> {
        let url = Url::parse(url).map_err(|error| format!("no address: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err("http:// is not allowed by `hooks.allow_http`".to_owned()),
            other => return Err(format!("{other}:// is not spoken")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address with a user name or password".to_owned());
        }
        let host = url.host_str().ok_or("an address without a host")?;
        // No resolver is asked for what is an address already, in whichever of its spellings.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !may_be_reached(address, &self.allowed) => Err(OffLimits(address.to_string()).to_string()),
            _ => Ok(url),
        }
    }

    async fn read(&self, mut response: Response) -> Vec<u8> {
        let mut body = Vec::new();
        let rest = async {
            while body.len() < MOST_READ
                && let Ok(Some(chunk)) = response.chunk().await
            {
                body.extend_from_slice(&chunk[..chunk.len().min(MOST_READ - body.len())]);
            }
        };
        // What was read is enough: the status has said whether it was delivered.
        tokio::select! {
            biased;
            () = rest => {}
            () = self.clock.sleep_until(self.clock.now() + BODY_WITHIN) => {}
        }
        body
    }
}

#[async_trait]
impl HookSender for HttpHooks {
    async fn send(&self, post: Post) -> Sent {
        let url = match self.target(post.url.as_str()) {
            Ok(url) => url,
            Err(why) => return Sent::Failed(why),
        };
        let mut request = self.client.post(url).body(post.body);
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let retry_after = retry_after.map(str::to_owned);
                Sent::Answered { status, retry_after, body: self.read(response).await }
            }
            Err(error) => Sent::Failed(reason(&error)),
        }
    }
}

/// Why there was no answer: the innermost reason, which does not repeat the address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // An error without a reason names the address.
    if std::ptr::addr_eq(innermost, error) { "no answer".to_owned() } else { innermost.to_string() }
}

/// Looks names up, and leaves out what may not be connected to.
struct Judge {
    lookup: Lookup,
    allowed: Arc<[Network]>,
}

impl Resolve for Judge {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allowed) = (Arc::clone(&self.lookup), Arc::clone(&self.allowed));
        async move {
            let found = lookup(name.as_str().to_owned()).await?;
            let (may, may_not): (Vec<IpAddr>, Vec<IpAddr>) =
                found.into_iter().partition(|address| may_be_reached(*address, &allowed));
            match (may.is_empty(), may_not.first()) {
                (true, Some(address)) => Err(OffLimits(format!("{} ({address})", name.as_str())).into()),
                (true, None) => Err(io::Error::other(format!("{} has no address", name.as_str())).into()),
                (false, _) => Ok(Box::new(may.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs),
            }
        }
        .boxed()
    }
}
