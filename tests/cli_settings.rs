//! `robocall config check`, from outside: what workers and the interface would refuse, with the setting's name.

mod support;

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use support::{Said, Scratch, robocall};

fn checked(settings: &str) -> Said {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let file = Scratch::with(&format!("{}.toml", NEXT.fetch_add(1, Ordering::Relaxed)), settings);
    robocall(&["config", "check", "--config", file.name()])
}

#[test]
fn what_the_interface_would_refuse_at_its_start_is_told_with_the_settings_name() {
    let folder = std::env::temp_dir().join(format!("robocall-test-{}-flows", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let flow = r#"{"steps": [{"name": "play", "message": {"msg": "Hello."}}]}"#;
    fs::write(folder.join("greeting.json"), flow).unwrap();
    let installed = format!("[worker]\nflows = {folder:?}\n");
    for (settings, place) in [
        ("[api.menus]\n9 = \"surwey\"\n", "api.menus.9: "),
        ("[api.menus]\n9 = \"greeting\"\n", "api.menus.9: "),
        ("[api.voices]\nmona = {gender = \"female\", language = \"not a tag\"}\n", "api.voices.mona.language: "),
        ("[api.voices]\nmona = {gender = \"female\", language = \"tlh\"}\n", "api.voices.mona.language: "),
        ("[api]\ntrusted_proxies = [\"proxy.example.com\"]\n", "api.trusted_proxies: "),
    ] {
        let said = checked(settings);
        assert_eq!(said.code, 2, "{settings}: {}", said.err);
        assert!(said.err.contains(place), "{settings}: {}", said.err);
    }
    for settings in ["[api.menus]\n9 = \"survey\"\n", &format!("{installed}[api.menus]\n9 = \"greeting\"\n")] {
        let said = checked(settings);
        assert_eq!(said.code, 0, "{settings}: {}", said.err);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_work_is_refused_as_a_worker_refuses_it_and_no_secret_is_shown() {
    let listens = "is not HOST:PORT, such as 127.0.0.1:9464";
    for (settings, expected) in [
        ("[metrics]\nlisten = \"9464\"\n", format!("metrics.listen: \"9464\" {listens}")),
        ("[api]\nlisten = \"8080\"\n", format!("api.listen: \"8080\" {listens}")),
        ("[telephony]\nsimulator = \"7460\"\n", format!("telephony.simulator: \"7460\" {listens}")),
        ("[worker]\ncapacity = 0\n", "worker.capacity: must be at least 1".to_owned()),
        ("[telephony]\nbackend = \"asterix\"\n", "\"asterix\" is not one of simulator, asterisk".to_owned()),
        ("[speech]\nengine = \"festival\"\n", "\"festival\" is not one of silent, espeak, command".to_owned()),
        ("[speech]\noutput = \"mp3\"\n", "\"mp3\" is not one of wav, raw".to_owned()),
        ("[api.voices]\nmona = {gender = \"f\"}\n", "\"f\" is not one of female, male".to_owned()),
        ("[redis]\nurl = redis://:sesame@db/\n", "string values must be quoted".to_owned()),
        ("[redis]\nurl = \"db:6379\"\n", "redis.url: it must begin with redis:// or rediss://".to_owned()),
        ("[redis]\nurl = \"redis://:6#sesame@db/\"\n", "write # as %23".to_owned()),
        ("[amqp]\nurl = \"rabbit:5672\"\n", "amqp.url: it must begin with amqp:// or amqps://".to_owned()),
        ("[amqp]\nurl = \"amqp://me:#sesame@rabbit/\"\n", "amqp.url: an address ends at #".to_owned()),
    ] {
        let said = checked(settings);
        assert!(said.code == 2 && said.err.contains(&expected), "{settings}: {}", said.err);
        assert!(!said.err.contains("\\n") && said.err.lines().count() == 1, "{settings}: {}", said.err);
        assert!(!said.err.contains("sesame"), "{settings}: {}", said.err);
    }
    for (variable, value) in [("ROBOCALL__WORKER__CAPACITY", "0"), ("ROBOCALL__METRICS__LISTEN", "9464")] {
        let refused = |args: &[&str]| support::said(support::program(args).env(variable, value).output().unwrap());
        let (worker, check) = (refused(&["worker"]), refused(&["config", "check"]));
        assert_eq!((worker.code, check.code, &worker.err), (2, 2, &check.err));
    }
}

#[test]
fn a_voice_speaks_what_the_program_that_speaks_is_said_to_speak() {
    let program = "[speech]\nengine = \"command\"\ncommand = [\"say\", \"{language}\"]\nlanguages = [\"tlh\"]\n";
    let voice = |language: &str| format!("{program}[api.voices]\nmona = {{language = \"{language}\"}}\n");
    let said = checked(&voice("tlh-Latn"));
    assert_eq!(said.code, 0, "{}", said.err);
    let said = checked(&voice("en"));
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("api.voices.mona.language: "), "{}", said.err);
}

#[test]
fn what_lines_of_the_log_look_like_may_be_said_in_the_surroundings_too() {
    let told = |format: &str| {
        let mut command = support::program(&["config", "show"]);
        support::said(command.env("ROBOCALL_LOG_FORMAT", format).output().unwrap())
    };
    for format in ["", "text", "json"] {
        assert_eq!(told(format).code, 0, "{format:?}: {}", told(format).err);
    }
    let refused = told("xml");
    assert!(
        refused.code == 2 && refused.err.contains("ROBOCALL_LOG_FORMAT") && refused.err.contains("text or json"),
        "{}",
        refused.err
    );
}

#[test]
fn a_word_that_is_no_level_and_a_variable_that_means_nothing_are_told() {
    let told = |name: &str, value: &str| {
        support::said(support::program(&["config", "check"]).env(name, value).output().unwrap())
    };
    let refused = told("ROBOCALL_LOG", "infos");
    assert!(refused.code == 2 && refused.err.contains("did you mean `info`?"), "{}", refused.err);
    assert_eq!(robocall(&["config", "check", "--log", "inf"]).code, 2);
    let warned = told("ROBOCALL_WORKER_CAPACITY", "20");
    assert!(warned.code == 0 && warned.err.contains("did you mean ROBOCALL__WORKER__CAPACITY?"), "{}", warned.err);
    let quiet = told("ROBOCALL__WORKER__CAPACITY", "20");
    assert_eq!((quiet.code, quiet.err.as_str()), (0, "The settings can be used.\n"));
}
