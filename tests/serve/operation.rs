//! What whoever runs the server relies on.

use crate::server::{Server, pictures, receive, send, until, voice};
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn heads_are_loaded_again_without_a_restart_and_sessions_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("anna.safetensors");
    let head = surfeltalk::sample::trained().expect("the sample head").to_bytes().expect("bytes");
    std::fs::write(&path, &head).expect("a file");
    let server = Server::start(&["--overcommit", "-m", path.to_str().expect("a name")]);
    let (mut socket, hello) = server.connect("");
    assert_eq!((&hello["head"], &hello["is_sample"]), (&json!("anna"), &json!(false)));
    let (status, body) = server.post_json("/admin/reload", &json!({}));
    assert_eq!((status, &body["heads"]), (200, &json!(["anna"])));
    // The old session goes on, and a new one is opened.
    send(&mut socket, &json!({"text": "Well."}));
    until(&mut socket, "done");
    let (mut other, _) = server.connect("?head=anna");
    receive(&mut other);
    // A file that is none changes nothing, and says why.
    std::fs::write(&path, b"no head").expect("a file");
    let (status, body) = server.post_json("/admin/reload", &json!({}));
    assert!(status == 422 && body["error"].as_str().is_some_and(|text| text.contains("anna")), "{body}");
    let (_, stream) = server.get("/avatar?head=anna");
    assert!(!pictures(&stream).is_empty());
}

/// Ends a program with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_session_goes_to_a_streaming_service_with_sound_and_picture() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("ffmpeg is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("received.mkv");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("rtmp://127.0.0.1:{port}/live/a-secret-key");
    let service = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-listen", "1", "-i", &url, "-t", "4", "-c", "copy"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut service = Ended(service.expect("ffmpeg"));
    std::thread::sleep(Duration::from_millis(500));
    let server = Server::start(&["--push", &url]);
    let text = json!({"sessionid": "push", "type": "echo", "text": "One two three four five six seven eight nine ten."});
    let begin = Instant::now();
    while server.post_json("/human", &text).0 != 200 {
        assert!(begin.elapsed() < Duration::from_secs(30), "there is no session to speak with");
        std::thread::sleep(Duration::from_millis(100));
    }
    while service.0.try_wait().expect("a state").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing is received");
        std::thread::sleep(Duration::from_millis(100));
    }
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name,width:format=duration", "-of", "csv=p=0"])
        .arg(&file)
        .output()
        .expect("ffprobe");
    let said = String::from_utf8_lossy(&probe.stdout);
    assert!(said.contains("h264,256") && said.contains("aac"), "{said}");
    let sound = data_utils::audio::load(&file).expect("sound");
    assert!(sound.samples.len() > 40_000, "{} samples", sound.samples.len());
    assert!(sound.samples.iter().any(|sample| sample.abs() > 0.05), "nothing is heard");
    let refused =
        Command::new(env!("CARGO_BIN_EXE_serve")).args(["--push", "video.mp4"]).output().expect("started");
    assert!(refused.status.code() == Some(2) && String::from_utf8_lossy(&refused.stderr).contains("rtmp"));
}

#[test]
fn many_sessions_that_come_and_go_leave_no_memory_behind() {
    let server = Server::start(&["--overcommit"]);
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
    };
    let open = |times: usize| {
        for _ in 0..times {
            let (mut socket, _) = server.connect("");
            receive(&mut socket);
        }
    };
    open(40);
    let Some(before) = memory() else { return };
    open(160);
    let after = memory().expect("memory");
    assert!(after < before + 24.0, "{before:.1} MB, then {after:.1} MB");
    voice(&server);
}
