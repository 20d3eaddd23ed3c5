//! One Asterisk: a child process in a folder of its own, ended with the test however that ends.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::ports::Ports;
use super::settings::{self, Edit, set};

/// What is said when there is none to start.
const MISSING: &str = "is not unpacked here: ./dev test installs it";

/// How often something is looked for that ought to come, ten times a second.
const LOOKS: u32 = 600;

/// An Asterisk.
pub struct Asterisk {
    tree: Tree,
    folder: PathBuf,
    ports: Ports,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    watchdog: Child,
}

/// Where Debian's packages are unpacked.
struct Tree {
    root: PathBuf,
    libraries: PathBuf,
    loader: PathBuf,
}

impl Tree {
    /// Found by the rule of unpack-asterisk.sh.
    fn find() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = variable("ROBOCALL_ASTERISK").unwrap_or_else(|| {
            let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
            cache.unwrap_or_default().join("robocall/asterisk")
        });
        let version = root.join("version");
        assert!(version.exists(), "these tests need Asterisk, and it {MISSING} ({} is not there)", version.display());
        let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut libraries = entries(root.join("usr/lib"));
        let libraries = libraries.find(|folder| folder.join("asterisk/modules").is_dir()).unwrap();
        // The C library is a newer one than this machine's, so its own loader has to load it.
        let mut files = entries(root.join("usr/lib64")).chain(entries(root.join("usr/lib")));
        let is_loader =
            |file: &PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"));
        let loader = files.find(is_loader).unwrap();
        Self { root, libraries, loader }
    }

    /// The program, in a folder.
    fn program(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.loader);
        command.arg("--library-path").arg(&self.libraries).arg(self.root.join("usr/sbin/asterisk"));
        command.arg("-C").arg(folder.join("etc/asterisk.conf")).env("HOME", folder).current_dir(folder);
        command
    }
}

impl Asterisk {
    /// Starts a server with the files of these folders, a later one's before an earlier one's, changed by these edits; and
    /// text that is added to one of them.
    pub fn start(
        name: &str,
        files: &[&str],
        edits: impl FnOnce(&Path, &Ports) -> Vec<Edit>,
        added: impl FnOnce(&Path, &Ports) -> Option<(&'static str, String)>,
    ) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let tree = Tree::find();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("robocall-asterisk-{}-{number}", std::process::id()));
        // An earlier process may have had the same number.
        let _nothing_there = fs::remove_dir_all(&folder);
        for inner in ["etc", "lib", "run", "log", "cache", "spool/recording", "heard", "agi", "data"] {
            fs::create_dir_all(folder.join(inner)).unwrap();
        }
        // As an operator does: over the files that come with the packages.
        let etc = folder.join("etc");
        copy_settings(&tree.root.join("etc/asterisk"), &etc);
        for files in files {
            copy_settings(&Path::new(env!("CARGO_MANIFEST_DIR")).join(files), &etc);
        }
        let ports = Ports::hold();
        let mut all = places(&tree, &folder, name, &ports);
        all.extend(edits(&folder, &ports));
        settings::apply(&folder.join("etc"), &all);
        if let Some((file, text)) = added(&folder, &ports) {
            let mut file = OpenOptions::new().append(true).open(folder.join("etc").join(file)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        link_data(&tree, &folder);
        let server = Self { tree, folder, ports, running: Mutex::new(None) };
        server.start_again();
        server
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Where its ARI is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/ari", self.ports.http())
    }

    /// Warnings and errors that it has written down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log/messages.log")).unwrap_or_default()
    }

    /// Waits until it has written something down.
    pub fn wait_for_log(&self, text: &str) {
        for _ in 0..LOOKS {
            if self.log().contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("`{text}` is not in the log:\n{}", self.log());
    }

    /// What it says to a command of its console.
    pub fn cli(&self, command: &str) -> String {
        let mut cli = self.tree.program(&self.folder);
        let said = cli.args(["-rx", command]).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref().unwrap().child.id()
    }

    /// Kills it, as a crash does.
    pub fn kill(&self) {
        if let Some(mut running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Its watchdog first: it must not find another process under the same number.
            let _ = (running.watchdog.kill(), running.watchdog.wait());
            let _ = (running.child.kill(), running.child.wait());
        }
    }

    /// Starts it where it was, and waits until it takes calls.
    pub fn start_again(&self) {
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(slot.is_none(), "it runs");
        let ready = self.folder.join("run/ready");
        let _nothing_there = fs::remove_file(&ready);
        let ready_here = UnixDatagram::bind(&ready).unwrap();
        ready_here.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let out = OpenOptions::new().create(true).append(true).open(self.folder.join("log/out")).unwrap();
        let mut program = self.tree.program(&self.folder);
        program.arg("-f").env("NOTIFY_SOCKET", &ready);
        program.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let child = program.spawn().unwrap();
        let watchdog = watch(&child, &self.folder);
        let running = slot.insert(Running { child, watchdog });
        let mut said = [0; 256];
        for _ in 0..LOOKS {
            let told = ready_here.recv(&mut said).unwrap_or(0);
            if String::from_utf8_lossy(&said[..told]).contains("READY=1") {
                return self.assert_listens();
            }
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "Asterisk has ended ({ended:?}) before it was ready:\n{}", self.said());
        }
        panic!("Asterisk did not start within {} s:\n{}", LOOKS / 10, self.said());
    }

    /// It says that it is ready even if a port was taken from it.
    fn assert_listens(&self) {
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, self.ports.sip()));
        assert!(sip.is_err(), "Asterisk does not listen for SIP:\n{}", self.said());
    }

    fn said(&self) -> String {
        self.log() + &fs::read_to_string(self.folder.join("log/out")).unwrap_or_default()
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy_settings(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "conf") {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
}

/// What differs from a server that is installed: where it is, and which ports it has.
fn places(tree: &Tree, folder: &Path, name: &str, ports: &Ports) -> Vec<Edit> {
    let inside = |inner: &str| folder.join(inner).display().to_string();
    let folder = |key, value| set("asterisk.conf", "directories", key, value);
    vec![
        folder("astetcdir", inside("etc")),
        folder("astmoddir", tree.libraries.join("asterisk/modules").display().to_string()),
        folder("astvarlibdir", inside("lib")),
        folder("astdbdir", inside("lib")),
        folder("astkeydir", inside("lib")),
        folder("astdatadir", inside("data")),
        folder("astagidir", inside("agi")),
        folder("astspooldir", inside("spool")),
        folder("astcachedir", inside("cache")),
        folder("astrundir", inside("run")),
        folder("astlogdir", inside("log")),
        folder("astsbindir", tree.root.join("usr/sbin").display().to_string()),
        set("asterisk.conf", "options", "systemname", name),
        set("rtp.conf", "general", "rtpstart", ports.sound().start()),
        set("rtp.conf", "general", "rtpend", ports.sound().end()),
        set("pjsip.conf", "transport-udp", "bind", format!("127.0.0.1:{}", ports.sip())),
    ]
}

/// Sounds and descriptions come from the packages, recordings are the folder's own.
fn link_data(tree: &Tree, folder: &Path) {
    let (shared, data) = (tree.root.join("usr/share/asterisk"), folder.join("data"));
    let link = |from: PathBuf, to: &str| std::os::unix::fs::symlink(from, data.join(to)).unwrap();
    link(shared.join("documentation"), "documentation");
    link(shared.join("rest-api"), "rest-api");
    fs::create_dir_all(data.join("sounds")).unwrap();
    link(shared.join("sounds/en_US_f_Allison"), "sounds/en");
    link(folder.join("spool/recording"), "sounds/recording");
}

/// Ends the server when this process ends, however that comes about: then the watchdog's input is closed.
fn watch(server: &Child, folder: &Path) -> Child {
    let script = format!("read -r _; kill -9 {}; rm -rf '{}'", server.id(), folder.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().unwrap()
}
