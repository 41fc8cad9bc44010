//! Every line for curl, in the README and in the description of each endpoint, is run as it stands.

use crate::calls::{Caller, has_coder};
use crate::server::Server;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// Where the lines ask.
const URL: &str = "http://127.0.0.1:8000";

/// A shell in a folder in which the lines are run, with what they name.
struct Shell<'a> {
    server: &'a Server,
    folder: &'a Path,
    session: String,
    job: String,
    background: String,
    call: String,
}

impl Shell<'_> {
    fn run(&self, line: &str) -> Output {
        let line = line.replace(URL, &self.server.url).replace("curl ", "curl --silent --show-error --fail ");
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(line).current_dir(self.folder);
        shell.env("SESSION", &self.session).env("JOB", &self.job).env("BACKGROUND", &self.background);
        shell.env("CALL", &self.call);
        shell.output().expect("bash")
    }

    /// What a line prints.
    fn answer(&self, line: &str) -> Value {
        let output = self.check(line);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn check(&self, line: &str) -> Output {
        let output = self.run(line);
        // One that has no end is ended by its own limit of time.
        let ended = [Some(0), if line.contains("--max-time") { Some(28) } else { Some(0) }];
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(ended.contains(&output.status.code()), "{line}\n{said}");
        output
    }
}

/// The lines of the README that ask a server.
fn readme() -> Vec<String> {
    let text = include_str!("../../README.md");
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("curl ") && line.contains(URL));
    // What follows two spaces and # is a comment.
    lines.map(|line| line.split("  #").next().unwrap_or(line).trim().to_owned()).collect()
}

#[test]
fn every_line_for_curl_works_as_it_stands() {
    if Command::new("curl").arg("--version").output().is_err() {
        // CI has it.
        eprintln!("curl is not installed");
        return;
    }
    let server = Server::start(&["--overcommit"]);
    let (mut socket, hello) = server.connect("");
    // It is read, so that the session goes on.
    std::thread::spawn(move || while socket.read().is_ok() {});
    let folder = tempfile::tempdir().expect("a folder");
    image::RgbImage::new(8, 8).save(folder.path().join("wall.png")).expect("a picture");
    let (_caller, offer, _) = Caller::offer();
    std::fs::write(folder.path().join("offer.sdp"), &offer).expect("a file");
    let body = serde_json::json!({"sdp": offer, "type": "offer"}).to_string();
    std::fs::write(folder.path().join("offer.json"), body).expect("a file");
    let mut shell = Shell {
        server: &server,
        folder: folder.path(),
        session: hello["session"].as_str().expect("a session").to_owned(),
        job: String::new(),
        background: String::new(),
        call: String::new(),
    };
    let lines = readme();
    assert!(lines.len() >= 7, "{lines:?}");
    for line in lines.iter().filter(|line| !line.contains("/whep") || has_coder()) {
        shell.check(line);
    }
    let (_, description) = server.get_json("/openapi.json");
    let mut samples: Vec<(String, String, String)> = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let line = operation["x-codeSamples"][0]["source"].as_str();
            let line = line.unwrap_or_else(|| panic!("{method} {path} has no line"));
            samples.push((path.clone(), method.clone(), line.to_owned()));
        }
    }
    // What names something comes after what makes it, and what removes it last.
    // A call that nobody comes to ends by itself, so that one is hung up at once.
    samples.sort_by_key(|(path, method, line)| {
        (method == "delete" && path != "/whep/{id}", line.contains("$JOB"), method == "get")
    });
    for (path, method, line) in &samples {
        if (path.starts_with("/whep") || path == "/offer") && !has_coder() {
            continue;
        }
        if path == "/v1/jobs/{id}/video" {
            let begin = std::time::Instant::now();
            while server.get_json(&format!("/v1/jobs/{}", shell.job)).1["status"] != "completed" {
                assert!(begin.elapsed().as_secs() < 60, "the job is not done");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
        let answer = shell.answer(line);
        let id = || answer["id"].as_str().unwrap_or_default().to_owned();
        match (path.as_str(), method.as_str()) {
            ("/v1/jobs", "post") => shell.job = id(),
            ("/whep", "post") => {
                let headers = std::fs::read_to_string(folder.path().join("headers.txt")).expect("headers");
                let call = headers.lines().find_map(|line| line.trim().strip_prefix("location: /whep/"));
                shell.call = call.expect("a call").to_owned();
            }
            ("/v1/backgrounds", "post") => shell.background = id(),
            _ => {}
        }
    }
    assert!(samples.len() >= 30, "{}", samples.len());
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |file| file.len());
    for name in ["hello.wav", "hello.mjpeg", "hello.mp4", "recording.mp4", "session.bin", "still.mjpeg"] {
        assert!(size(name) > 5000, "{name} has {} bytes", size(name));
    }
    assert_eq!(shell.run(&format!("curl {URL}/no/such/page")).status.code(), Some(22));
}
