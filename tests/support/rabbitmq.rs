//! A RabbitMQ of a test binary's own: on free ports of the loopback, in a folder of its own, gone with the binary however
//! it ends.
//!
//! A shell stands between: it starts and kills the server as it is told on its stdin, and ends everything when its stdin
//! does, which the kernel sees to.

#![allow(dead_code, reason = "each test binary uses what it needs")]
#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// How often the server is looked for while it starts, ten times a second.
const LOOKS: u32 = 900;

/// The variable by which everybody finds the mapper of names.
const MAPPER_PORT: &str = "ERL_EPMD_PORT";

/// What the shell does. `start` starts the server, `kill` kills it as a failing machine would, end of file ends it all.
const KEEPER: &str = r#"
trap '' INT TERM
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 >/dev/null 2>&1 </dev/null & E=$!
# Whoever finds none listening would start one of its own, which outlives it.
until epmd -port "$ERL_EPMD_PORT" -names >/dev/null 2>&1 </dev/null || ! kill -0 "$E" 2>/dev/null; do :; done
slay() { [ -f "$HOME/pid" ] && kill -9 "$(cat "$HOME/pid")" 2>/dev/null; [ -n "$R" ] && { kill -9 "$R"; wait "$R"; } 2>/dev/null; rm -f "$HOME/pid"; }
while read -r word; do
  case "$word" in
    start) "$SERVER" >>"$HOME/out" 2>&1 </dev/null & R=$! ;;
    kill) slay ;;
  esac
  echo "$word"
done
slay
# It has inherited that it hears nothing less.
kill -9 "$E" 2>/dev/null; wait "$E" 2>/dev/null
rm -rf "$HOME"
"#;

/// A server.
pub struct RabbitMq {
    keeper: Mutex<Keeper>,
    folder: PathBuf,
    port: u16,
    environment: Vec<(&'static str, String)>,
}

struct Keeper {
    _child: Child,
    words: ChildStdin,
    done: BufReader<ChildStdout>,
}

impl RabbitMq {
    /// Starts a server and waits until it answers.
    pub fn start() -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "these tests need RabbitMQ, and {SERVER} is not there: ./dev test installs it, or apt-get install rabbitmq-server"
        );
        let [port, distribution, mapper] = free_ports();
        let folder = std::env::temp_dir().join(format!("robocall-rabbitmq-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let inside = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let home = folder.to_str().unwrap().to_owned();
        let environment = vec![
            ("SERVER", SERVER.to_owned()),
            ("HOME", home.clone()),
            (MAPPER_PORT, mapper.to_string()),
            ("RABBITMQ_NODENAME", format!("t{port}@localhost")),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODE_PORT", port.to_string()),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", home.clone()),
            ("RABBITMQ_LOG_BASE", home),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("plugins")),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_CONFIG_FILE", inside("none")),
            ("RABBITMQ_PID_FILE", inside("pid")),
            // One scheduler is enough, and leaves the processors to the tests.
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1} -start_epmd false".to_owned(),
            ),
            ("RABBITMQ_CTL_ERL_ARGS", "-start_epmd false".to_owned()),
        ];
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER]).envs(environment.iter().map(|(name, value)| (*name, value)));
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = keeper.spawn().unwrap();
        let (words, done) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let keeper = Mutex::new(Keeper { _child: child, words, done });
        let server = Self { keeper, folder, port, environment };
        server.start_again();
        server
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        self.url_at(self.address().port())
    }

    /// The address of a proxy before it, at another port.
    pub fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where the server's name and port are known; a process of its own.
    pub fn mapper(&self) -> SocketAddr {
        let port = self.environment.iter().find(|(name, _)| *name == MAPPER_PORT).unwrap().1.parse().unwrap();
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Kills it without a warning.
    pub fn kill(&self) {
        self.tell("kill");
    }

    /// Starts it again on the same port and folder, and waits until it answers.
    pub fn start_again(&self) {
        self.tell("start");
        for _ in 0..LOOKS {
            if self.answers() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let said = std::fs::read_to_string(self.folder.join("out")).unwrap_or_default();
        panic!("RabbitMQ did not start within {} s:\n{said}", LOOKS / 10);
    }

    /// What its own tool says.
    pub fn control(&self, words: &[&str]) -> String {
        let mut control = Command::new(CONTROL);
        control.args(["-q", "-n", &format!("t{}@localhost", self.port)]).args(words);
        control.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        let said = control.stdin(Stdio::null()).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    fn tell(&self, word: &str) {
        // A test that failed meanwhile has left the keeper as it was.
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(keeper.words, "{word}").unwrap();
        let mut done = String::new();
        keeper.done.read_line(&mut done).unwrap();
        assert_eq!(done.trim(), word, "the keeper of RabbitMQ has gone");
    }

    /// Whether it speaks AMQP already: the port opens before.
    fn answers(&self) -> bool {
        let greet = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(self.address())?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"AMQP\x00\x00\x09\x01")?;
            let mut first = [0];
            stream.read_exact(&mut first)?;
            Ok(first == [1])
        };
        greet().unwrap_or(false)
    }
}

/// Ports that nobody listens at now.
fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}
