//! What is shipped to run the program with: every file is read by the tool it is for, names metrics that there are, and settings
//! that the program knows.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use robocall::telemetry::{Kind, catalogue};
use serde_json::{Value, json};
use support::{program, root};

/// Runs a tool that must find nothing wrong; what it said.
fn fine(tool: &mut Command, input: &str) -> String {
    let mut child = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that finds fault early does not read to the end.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let out = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{tool:?}: {out}{}", String::from_utf8_lossy(&stderr));
    out
}

/// Where the tools are that read manifests.
fn tools() -> PathBuf {
    fine(&mut Command::new(root().join("tests/support/manifests.sh")), "").trim().into()
}

/// The documents of a YAML text, as a JSON list.
fn yaml(text: &str) -> Vec<Value> {
    let script = "import sys, json, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin)), default=str))";
    let json = fine(Command::new(tools().join("bin/python")).args(["-c", script]), text);
    serde_json::from_str(&json).unwrap()
}

fn files(under: &str, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(under)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn prometheus(name: &str) -> PathBuf {
    root().join("deploy/prometheus").join(name)
}

/// The rules that are shipped: each is an alert or a record, with its expression.
fn rules() -> Vec<Value> {
    let files = ["recording.rules.yaml", "alerting.rules.yaml"];
    let documents = files.iter().flat_map(|name| yaml(&fs::read_to_string(prometheus(name)).unwrap()));
    let groups = documents.flat_map(|document| document["groups"].as_array().unwrap().clone());
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// All that a dashboard asks for, its variables filled in.
fn asked_by(dashboard: &Value) -> Vec<String> {
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let fill = |expression: &str| {
        let mut filled = expression.replace("$__rate_interval", "5m");
        for variable in variables {
            filled = filled.replace(&format!("${}", variable["name"].as_str().unwrap()), ".*");
        }
        filled
    };
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let asked = targets.flatten().map(|target| fill(target["expr"].as_str().unwrap()));
    let queries = variables.iter().filter_map(|variable| variable["definition"].as_str());
    // `label_values(metric, label)` asks for a metric.
    asked
        .chain(queries.map(|query| query.trim_start_matches("label_values(").split(',').next().unwrap().to_owned()))
        .collect()
}

fn dashboards() -> Vec<(PathBuf, Value)> {
    let read = |path: PathBuf| {
        let dashboard = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        (path, dashboard)
    };
    files("deploy/grafana", &[".json"]).into_iter().map(read).collect()
}

/// Names of ours in an expression: `robocall_…` and `process_…` of metrics, `robocall:…` of rules.
fn names(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| ["robocall_", "robocall:", "process_"].iter().any(|ours| word.starts_with(ours))).collect()
}

/// Names of series that a process exposes.
fn exposed() -> BTreeSet<String> {
    let series = |metric: &robocall::telemetry::Metric| match metric.kind {
        Kind::Histogram(_) => ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)).to_vec(),
        Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
    };
    catalogue::all().flat_map(series).collect()
}

#[test]
fn rules_are_right_and_alerts_fire_when_they_should() {
    let shipped = ["recording.rules.yaml", "alerting.rules.yaml"].map(prometheus);
    fine(Command::new("promtool").args(["check", "rules"]).args(shipped), "");
    let tests = prometheus("rules.test.yaml");
    fine(Command::new("promtool").args(["test", "rules"]).arg(&tests), "");
    fine(Command::new("promtool").args(["check", "config"]).arg(prometheus("prometheus.yaml")), "");
    // Every alert has a test in which it fires.
    let tested = fs::read_to_string(tests).unwrap();
    for alert in rules().iter().filter_map(|rule| rule["alert"].as_str()) {
        let fires = tested.match_indices(&format!("alertname: {alert}\n")).count();
        assert!(fires > 0, "{alert} fires in no test");
    }
}

/// The rules as an operator of Prometheus on Kubernetes reads them.
fn as_manifest() -> String {
    let groups = ["recording.rules.yaml", "alerting.rules.yaml"].map(|name| {
        let text = fs::read_to_string(prometheus(name)).unwrap();
        let lines = text.lines().skip_while(|line| *line != "groups:").skip(1);
        lines.map(|line| format!("  {line}\n")).collect::<String>()
    });
    format!(
        "# Written from deploy/prometheus: ROBOCALL_BLESS=1 cargo test --test deploy writes it anew.\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: robocall\nspec:\n  groups:\n{}",
        groups.concat()
    )
}

#[test]
fn a_cluster_has_the_same_rules() {
    let place = root().join("deploy/kubernetes/overlays/production/prometheusrule.yaml");
    let wanted = as_manifest();
    let shipped = fs::read_to_string(&place).unwrap_or_default();
    if shipped != wanted && std::env::var_os("ROBOCALL_BLESS").is_some() {
        fs::write(place, wanted).unwrap();
    } else {
        assert_eq!(shipped, wanted, "ROBOCALL_BLESS=1 cargo test --test deploy writes it anew");
    }
}

#[test]
fn workers_are_scaled_by_what_is_live_or_could_be_and_never_to_none() {
    let scaled = fs::read_to_string(root().join("deploy/kubernetes/overlays/production/scaledobject.yaml")).unwrap();
    let spec = &yaml(&scaled)[0]["spec"];
    assert!(spec["minReplicaCount"].as_u64().unwrap() >= 1, "commands are a worker's to carry out");
    let trigger = &spec["triggers"][0]["metadata"];
    assert_eq!(trigger["ignoreNullValues"], "false", "that nobody tells is not that nobody is called");
    assert!(trigger["query"].as_str().unwrap().contains("robocall_slots_leased"), "calls of dead workers count");
}

#[test]
fn every_alert_leads_to_what_is_to_be_done() {
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let place = rule["annotations"]["runbook_url"].as_str().unwrap();
        // A path alone is no link: whoever runs Prometheus says where the repository can be read.
        let anchor = place.strip_prefix("{{ $externalLabels.runbooks }}docs/operations.md#").unwrap();
        assert!(operations.contains(&format!("<a id=\"{anchor}\"></a>")), "{place} is not there");
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()));
    }
}

#[test]
fn everything_that_is_asked_for_is_emitted_or_recorded() {
    let mut known = exposed();
    known.extend(rules().iter().filter_map(|rule| rule["record"].as_str()).map(str::to_owned));
    let alerts = rules().into_iter().map(|rule| ("a rule".to_owned(), rule["expr"].as_str().unwrap().to_owned()));
    let boards = dashboards().into_iter().flat_map(|(path, dashboard)| {
        let asked = asked_by(&dashboard).into_iter();
        asked.map(move |expression| (path.display().to_string(), expression))
    });
    let scaled = fs::read_to_string(root().join("deploy/kubernetes/overlays/production/scaledobject.yaml")).unwrap();
    let query = yaml(&scaled)[0]["spec"]["triggers"][0]["metadata"]["query"].as_str().unwrap().to_owned();
    let mut asked = 0;
    for (place, expression) in alerts.chain(boards).chain([("the ScaledObject".to_owned(), query)]) {
        for name in names(&expression) {
            assert!(known.contains(name), "{place}: nothing emits {name}: {expression}");
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked} names were found");
}

#[test]
fn dashboards_ask_what_prometheus_understands_and_show_it_side_by_side() {
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 4);
    let mut asked = Vec::new();
    for (path, dashboard) in &dashboards {
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{}", path.display());
        let mut taken = BTreeSet::new();
        for panel in panels {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{}: {}", path.display(), panel["title"]);
            for cell in (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y))) {
                assert!(taken.insert(cell), "{}: {} covers another", path.display(), panel["title"]);
            }
            assert!(panel["type"] == "row" || panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()));
        }
        asked.extend(asked_by(dashboard));
    }
    let rules: Vec<Value> =
        asked.iter().enumerate().map(|(n, expr)| json!({"record": format!("asked:{n}"), "expr": expr})).collect();
    let file = std::env::temp_dir().join(format!("robocall-asked-{}.yaml", std::process::id()));
    fs::write(&file, json!({"groups": [{"name": "asked", "rules": rules}]}).to_string()).unwrap();
    fine(Command::new("promtool").args(["check", "rules"]).arg(&file), "");
    fs::remove_file(file).unwrap();
}

#[test]
fn manifests_are_what_kubernetes_and_keda_read() {
    let tools = tools();
    for overlay in ["base", "overlays/demo", "overlays/production"] {
        let folder = root().join("deploy/kubernetes").join(overlay);
        let built = fine(Command::new("kubectl").arg("kustomize").arg(&folder), "");
        let file =
            std::env::temp_dir().join(format!("robocall-{}-{}.yaml", overlay.replace('/', "-"), std::process::id()));
        fs::write(&file, &built).unwrap();
        let mut validate = Command::new(tools.join("bin/python"));
        validate.args(["-m", "kubernetes_validate", "--strict"]).arg(&file);
        fine(&mut validate, "");
        fs::remove_file(file).unwrap();
        let objects = yaml(&built);
        let of_keda = objects.iter().filter(|object| object["apiVersion"] == "keda.sh/v1alpha1").count();
        let script = root().join("tests/support/keda.cjs");
        let read = fine(Command::new("node").arg(script).arg(&tools), &json!(objects).to_string());
        assert_eq!(read.trim(), of_keda.to_string());
        assert_eq!(of_keda, if overlay.ends_with("production") { 2 } else { 0 });
        objects.iter().filter(|object| object["kind"] == "Deployment").for_each(is_confined);
    }
}

#[test]
fn checkov_finds_nothing_wrong_with_what_is_shipped() {
    let read = std::env::temp_dir().join(format!("robocall-checkov-{}", std::process::id()));
    fs::create_dir_all(&read).unwrap();
    for overlay in ["demo", "production"] {
        let folder = root().join("deploy/kubernetes/overlays").join(overlay);
        let built = fine(Command::new("kubectl").arg("kustomize").arg(folder), "");
        fs::write(read.join(format!("{overlay}.yaml")), built).unwrap();
    }
    fs::copy(root().join("Dockerfile"), read.join("Dockerfile")).unwrap();
    fs::copy(root().join("deploy/compose.yaml"), read.join("compose.yaml")).unwrap();
    let mut checkov = Command::new(tools().join("bin/python"));
    checkov.args(["-m", "checkov.main", "--config-file"]).arg(root().join("deploy/checkov.yaml"));
    let said = fine(checkov.arg("--directory").arg(&read), "");
    for looked in ["kubernetes scan results", "dockerfile scan results"] {
        assert!(said.contains(looked), "{said}");
    }
    let passed = said.split("Passed checks: ").skip(1).map(|rest| rest.split(',').next().unwrap());
    let passed: u32 = passed.map(|count| count.parse::<u32>().unwrap()).sum();
    assert!(passed > 200, "{said}");
    fs::remove_dir_all(read).unwrap();
}

#[test]
fn compose_reads_what_is_shipped_for_it() {
    let mut check = Command::new(tools().join("bin/python"));
    check.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]);
    fine(check.arg(root().join("deploy/compose.yaml")), "");
    let compose = yaml(&fs::read_to_string(root().join("deploy/compose.yaml")).unwrap()).remove(0);
    for service in ["worker", "api", "simulator"] {
        let service = &compose["services"][service];
        assert_eq!((&service["read_only"], &service["cap_drop"]), (&json!(true), &json!(["ALL"])), "{service}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{service}");
    }
}

/// A pod that is given no more than it needs.
fn is_confined(deployment: &Value) {
    let (name, pod) = (&deployment["metadata"]["name"], &deployment["spec"]["template"]["spec"]);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
    assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{name}");
        assert!(container["readinessProbe"].is_object() && container["resources"]["limits"].is_object(), "{name}");
    }
}

#[test]
fn workers_are_given_longer_than_their_grace() {
    let folder = root().join("deploy/kubernetes/base");
    let objects = yaml(&fine(Command::new("kubectl").arg("kustomize").arg(folder), ""));
    let worker = objects.iter().find(|object| object["metadata"]["name"] == "robocall-worker").unwrap();
    let patience = worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    let settings = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let grace: u64 = settings["data"]["ROBOCALL__WORKER__GRACE_SECS"].as_str().unwrap().parse().unwrap();
    assert!(patience >= grace + 30, "{patience} {grace}");
}

/// Whether the program takes these variables for settings.
fn are_settings(place: &str, settings: &serde_json::Map<String, Value>) {
    let secrets = std::env::temp_dir().join(format!("robocall-secret-{}", std::process::id()));
    fs::write(&secrets, "amqp://127.0.0.1/%2f").unwrap();
    let mut show = program(&["config", "show", "--json"]);
    for (name, value) in settings.iter().filter(|(name, _)| name.starts_with("ROBOCALL__")) {
        // Secrets are in the cluster.
        let value = if name.ends_with("_FILE") { secrets.to_str().unwrap() } else { value.as_str().unwrap() };
        show.env(name, value);
    }
    let said = show.output().unwrap();
    assert!(said.status.success(), "{place}: {}", String::from_utf8_lossy(&said.stderr));
    fs::remove_file(secrets).unwrap();
}

#[test]
fn settings_of_clusters_and_containers_are_the_programs_own() {
    for overlay in ["base", "overlays/production"] {
        let folder = root().join("deploy/kubernetes").join(overlay);
        let objects = yaml(&fine(Command::new("kubectl").arg("kustomize").arg(folder), ""));
        let settings = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
        are_settings(overlay, settings["data"].as_object().unwrap());
    }
    let compose = yaml(&fs::read_to_string(root().join("deploy/compose.yaml")).unwrap()).remove(0);
    for service in ["worker", "api", "simulator"] {
        are_settings(service, compose["services"][service]["environment"].as_object().unwrap());
    }
}

#[test]
fn what_compose_mounts_is_there() {
    let compose = yaml(&fs::read_to_string(root().join("deploy/compose.yaml")).unwrap()).remove(0);
    let (mut mounted, named) = (0, compose["volumes"].as_object().unwrap());
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            let is_there = match source.strip_prefix("./") {
                Some(path) => root().join("deploy").join(path).exists(),
                None => named.contains_key(source),
            };
            assert!(is_there, "{name}: {source} is not there");
            mounted += 1;
        }
    }
    assert!(mounted >= 6);
}

#[test]
fn the_image_is_made_as_images_should_be() {
    let dockerfile = root().join("Dockerfile");
    fine(Command::new(tools().join("bin/hadolint")).arg(&dockerfile), "");
    let text = fs::read_to_string(dockerfile).unwrap();
    let last = text.rsplit("\nFROM ").next().unwrap();
    assert!(last.contains("distroless") && last.contains("\nUSER ") && last.contains("\nHEALTHCHECK "), "{last}");
    assert!(!last.contains("\nRUN "), "there is no shell to run it");
}

/// The compiler writes down what it reads, templates and scripts that become a part of the program included.
#[test]
fn the_image_is_built_from_everything_that_is_compiled() {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let first = dockerfile.split("\nFROM ").nth(1).unwrap();
    let copied = first.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied: Vec<PathBuf> =
        copied.flat_map(|words| words.split(' ')).filter(|word| *word != "./").map(|word| root().join(word)).collect();
    let notes = Path::new(env!("CARGO_BIN_EXE_robocall")).with_file_name("deps");
    let notes = fs::read_dir(notes).unwrap().map(|entry| entry.unwrap().path());
    let notes = notes.filter(|path| path.extension().is_some_and(|extension| extension == "d"));
    let library = |text: &String| text.lines().any(|line| line.contains("/librobocall-") && line.contains(".rlib: "));
    // Those of earlier builds are left beside it.
    let latest = notes
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, fs::read_to_string(path).ok()?)))
        .filter(|(_, text)| library(text))
        .max_by_key(|(written, _)| *written);
    let (_, text) = latest.expect("the compiler's notes on the library");
    let read = text.lines().next().unwrap().split(' ').skip(1).map(|file| root().join(file).canonicalize().unwrap());
    let read: BTreeSet<PathBuf> = read.collect();
    assert!(read.contains(&root().join("src/lib.rs")), "{read:?}");
    for file in read {
        assert!(copied.iter().any(|folder| file.starts_with(folder)), "{} is not in the image's build", file.display());
    }
}

#[test]
fn the_bill_of_materials_is_right_and_names_every_crate() {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let words = dockerfile.split("&& cargo cyclonedx ").nth(1).unwrap().lines().next().unwrap();
    let built_with = words.split("--features ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(dockerfile.contains(&format!("cargo auditable build --release --locked --features {built_with} ")));
    // It writes beside the manifest.
    let folder = std::env::temp_dir().join(format!("robocall-bill-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for name in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        fs::copy(root().join(name), folder.join(name)).unwrap();
    }
    for name in ["src", "benches"] {
        std::os::unix::fs::symlink(root().join(name), folder.join(name)).unwrap();
    }
    let tool = fine(&mut Command::new(root().join("tests/support/cyclonedx.sh")), "");
    let mut bill = Command::new(tool.trim());
    fine(bill.current_dir(&folder).arg("cyclonedx").args(words.split_whitespace()), "");
    let written = fs::read_to_string(folder.join("robocall_bin.cdx.json")).unwrap();
    assert!(dockerfile.contains("COPY --from=build /build/robocall_bin.cdx.json "), "it is in the image");
    let script = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        sys.exit(str(JsonStrictValidator(SchemaVersion.V1_5).validate_str(sys.stdin.read()) or '') or 0)";
    fine(Command::new(tools().join("bin/python")).args(["-c", script]), &written);
    let bill: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(bill["metadata"]["component"]["name"], "robocall");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let components = bill["components"].as_array().unwrap().iter();
    let named: BTreeSet<String> =
        components.map(|one| format!("{} v{}", text(&one["name"]), text(&one["version"]))).collect();
    // What is compiled into the program, or runs to compile it, as cargo itself has it.
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(root()).args("tree --locked --edges normal,build --prefix none --format {p}".split(' '));
    tree.args(["--features", built_with]);
    let tree = fine(&mut tree, "");
    let ours = format!("robocall v{}", env!("CARGO_PKG_VERSION"));
    let of = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let crates: BTreeSet<String> = tree.lines().map(of).filter(|one| !one.is_empty() && *one != ours).collect();
    assert!(crates.len() > 100, "{tree}");
    assert_eq!(crates.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_the_image_speaks_with_is_known_to_be_of_these_packages() {
    let folder = std::env::temp_dir().join(format!("robocall-speech-{}", std::process::id()));
    fine(Command::new(root().join("deploy/image/speech.sh")).arg(&folder), "");
    let mut packages = BTreeSet::new();
    for file in fs::read_dir(folder.join("var/lib/dpkg/status.d")).unwrap() {
        let (path, name) = file.map(|file| (file.path(), file.file_name().into_string().unwrap())).unwrap();
        let said = fs::read_to_string(path).unwrap();
        assert!(said.starts_with(&format!("Package: {name}\n")) && said.contains("\nVersion: "), "{said}");
        assert!(folder.join(format!("usr/share/doc/{name}/copyright")).exists(), "{name} has no licence");
        packages.insert(name);
    }
    for name in ["espeak-ng", "espeak-ng-data", "libespeak-ng1"] {
        assert!(packages.contains(name), "{packages:?}");
    }
    // What it is linked with, and is not in the last stage, is taken along.
    let linked = fine(Command::new("ldd").arg(folder.join("usr/bin/espeak-ng")), "");
    let linked = linked.lines().filter_map(|line| line.split_once(" => ")?.1.split(' ').next());
    let mut taken = 0;
    for library in linked.filter(|library| !library.ends_with("/libc.so.6") && !library.ends_with("/libm.so.6")) {
        let library = library.trim_start_matches('/').trim_start_matches("usr/");
        assert!(folder.join("usr").join(library).exists(), "{library}");
        taken += 1;
    }
    assert!(taken > 3, "{taken}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_file_of_data_can_be_read() {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for path in files("", &[".json"]) {
        let read: Result<Value, _> = serde_json::from_str(&read(&path));
        // Some are there to be refused.
        let wrong = path.components().any(|part| part.as_os_str() == "data");
        assert!(read.is_ok() || wrong, "{}: {read:?}", path.display());
        seen += 1;
    }
    for path in files("", &[".yaml", ".yml"]) {
        assert!(!yaml(&read(&path)).is_empty(), "{}", path.display());
        seen += 1;
    }
    let script = "import sys, tomllib; tomllib.load(sys.stdin.buffer)";
    for path in files("", &[".toml"]) {
        fine(Command::new("python3").args(["-c", script]), &read(&path));
        seen += 1;
    }
    assert!(seen > 30, "{seen} files");
}

/// The documentation of a metric: a line of a table.
fn line_of(metric: &robocall::telemetry::Metric) -> String {
    use robocall::telemetry::Role;
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let by = metric.by.iter().map(|by| match by.words {
        [] => format!("`{}`", by.name),
        words => format!("`{}`: {}", by.name, words.join(", ")),
    });
    let role = match metric.role {
        Role::Worker => "worker",
        Role::Api => "api",
        Role::Every => "both",
    };
    let by = by.collect::<Vec<_>>().join("; ");
    format!("| `{}` | {kind} | {role} | {by} | {} |\n", metric.name, metric.help)
}

#[test]
fn every_metric_is_documented() {
    let table: String = catalogue::all().map(line_of).collect();
    let page = root().join("docs/metrics.md");
    let text = fs::read_to_string(&page).unwrap();
    let (head, rest) = text.split_once("|---|---|---|---|---|\n").unwrap();
    let shown: String = rest.lines().take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    if shown != table && std::env::var_os("ROBOCALL_BLESS").is_some() {
        let after = &rest[shown.len()..];
        fs::write(page, format!("{head}|---|---|---|---|---|\n{table}{after}")).unwrap();
    } else {
        assert_eq!(shown, table, "ROBOCALL_BLESS=1 cargo test --test deploy writes it anew");
    }
}
