//! Every way in, as its clients use it.

use crate::server::{Server, pictures, size, until, voice};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

#[test]
fn the_nine_endpoints_answer_as_their_clients_expect() {
    let server = Server::start(&[]);
    let (status, page) = server.get("/");
    let page = String::from_utf8(page).expect("text");
    assert!(status == 200 && page.starts_with("<!doctype html>") && page.contains("synthetic"));
    // Nothing is loaded from elsewhere.
    for outside in ["src=\"http", "href=\"http", "import(", "@import", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }

    let (status, stream) = server.get("/generate?text=Hello&duration=0.8");
    assert_eq!(status, 200);
    let spoken = pictures(&stream);
    let sound = voice(&server);
    let seconds = (sound.len() - 100) as f64 / 32_000.0;
    // A machine that is too slow leaves pictures out, and never makes more.
    let is_as_long = |count: usize| (2..=(25.0 * seconds) as usize + 4).contains(&count);
    assert!(is_as_long(spoken.len()), "{} pictures of {seconds} s", spoken.len());
    assert_eq!(
        spoken[spoken.len() - 1],
        spoken[spoken.len() - 2],
        "a browser shows a part when the next one comes"
    );
    assert!(spoken.iter().all(|jpeg| size(jpeg) == [256, 256]));

    let (status, stream) = server.post("/generate", &json!({"text": "Hello"}));
    assert_eq!((status, is_as_long(pictures(&stream).len())), (200, true));

    let (status, stream) = server.form("/generate-from-audio", &[], Some(("audio_file", &sound)));
    assert_eq!((status, is_as_long(pictures(&stream).len())), (200, true));

    for path in ["/generate-from-audio", "/avatar"] {
        let (status, stream) = server.get(path);
        let still = pictures(&stream);
        assert!(status == 200 && !still.is_empty() && still.iter().all(|jpeg| *jpeg == still[0]), "{path}");
    }

    let agent = Server::agent();
    let answer = agent.get(format!("{}/get-tts-audio?text=Hello", server.url)).call().expect("an answer");
    assert_eq!(answer.headers()["content-type"], "audio/wav");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=tts_audio.wav");
    let told: f64 = answer.headers()["x-audio-duration"].to_str().expect("text").parse().expect("seconds");
    assert!((told - seconds).abs() < 0.05, "{told} and {seconds}");

    let (status, health) = server.get_json("/health");
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert_eq!(health["services"], json!({"tts": "ok", "model": "ok"}));

    let (status, debug) = server.get_json("/debug/status");
    assert_eq!((status, &debug["enabled"], &debug["frames_dir"]), (200, &json!(false), &Value::Null));
    let on = json!({"enabled": true, "save_frames": true, "save_audio": true});
    let (status, refused) = server.post_json("/debug/config", &on);
    assert!(
        status == 409 && refused["error"].as_str().is_some_and(|e| e.contains("--debug_dir")),
        "{refused}"
    );
    let off = json!({"enabled": true, "save_frames": false, "save_audio": false});
    assert_eq!(server.post_json("/debug/config", &off).1["enabled"], true);
    assert_eq!(server.post_json("/debug/config", &json!({"enabled": true})).0, 422);
}

#[test]
fn livetalking_s_calls_drive_a_session() {
    let server = Server::start(&[]);
    let (mut socket, hello) = server.connect("");
    let id = hello["session"].as_str().expect("a name").to_owned();
    let named = |more: Value| {
        let mut body = json!({"sessionid": id});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let ok = |(status, body): (u16, Value)| {
        assert_eq!((status, &body["code"]), (200, &json!(0)), "{body}");
        body["data"].clone()
    };
    let events = std::thread::spawn({
        let url = format!("{}/sse?sessionid={id}", server.url);
        move || {
            let mut answer = Server::agent().get(url).call().expect("an answer");
            let lines = BufReader::new(answer.body_mut().as_reader()).lines();
            let data = lines
                .map_while(Result::ok)
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
            data.take(2).collect::<Vec<Value>>()
        }
    });
    assert_eq!(ok(server.post_json("/is_speaking", &named(json!({})))), false);
    ok(server.post_json("/record", &named(json!({"type": "start_record"}))));
    std::thread::sleep(Duration::from_millis(200));
    ok(server.post_json("/human", &named(json!({"text": "Hello there!", "type": "echo"}))));
    until(&mut socket, "speaking");
    assert_eq!(ok(server.post_json("/is_speaking", &named(json!({})))), true);
    until(&mut socket, "done");
    let events = events.join().expect("events");
    assert_eq!((&events[0]["status"], &events[0]["text"]), (&json!("start"), &json!("Hello there!")));
    assert_eq!(events[1]["status"], "end");

    let sound = voice(&server);
    let (status, body) = server.form("/humanaudio", &[("sessionid", &id)], Some(("file", &sound)));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    until(&mut socket, "speaking");
    ok(server.post_json("/interrupt_talk", &named(json!({}))));
    until(&mut socket, "cut");

    ok(server.post_json("/record", &named(json!({"type": "end_record"}))));
    assert_eq!(server.post_json("/record", &named(json!({"type": "end_record"}))).0, 400);
    let (status, video) = server.get(&format!("/record/{id}"));
    assert!(status == 200 && video.len() > 10_000, "{status}, {} bytes", video.len());
    let (status, body) = server.post_json("/human", &named(json!({"text": "hi", "type": "chat"})));
    assert_eq!((status, &body["code"]), (501, &json!(-1)));
    // The session ends with its socket.
    drop(socket);
    let begin = Instant::now();
    while server.post_json("/is_speaking", &named(json!({}))).0 != 404 {
        assert!(begin.elapsed() < Duration::from_secs(5), "the session goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn speech_and_videos_come_in_openai_s_form_and_as_jobs() {
    let server = Server::start(&[]);
    let (status, wav) = server
        .post("/v1/audio/speech", &json!({"input": "Hello there!", "model": "tts-1", "voice": "alloy"}));
    assert!(status == 200 && wav.starts_with(b"RIFF") && wav.windows(9).any(|part| part == b"synthetic"));
    let (status, pcm) = server
        .post("/v1/audio/speech", &json!({"input": "Hello there!", "response_format": "pcm", "speed": 2.0}));
    assert_eq!(status, 200);
    let ratio = wav.len() as f64 / pcm.len() as f64;
    assert!((1.9..2.2).contains(&ratio), "{ratio}");
    assert_eq!(
        server.post_json("/v1/audio/speech", &json!({"input": "hi", "response_format": "opus"})).0,
        400
    );
    assert_eq!(server.post_json("/v1/audio/speech", &json!({"voice": "alloy"})).0, 422);

    let (status, video) = server.post("/v1/video/speech", &json!({"input": "Hello", "model": "sample"}));
    assert!(status == 200 && video.len() > 10_000, "{status}");
    assert!(&video[4..8] == b"ftyp" || video.starts_with(b"RIFF"));
    assert!(video.windows(18).any(|part| part == b"synthetic pictures"));
    assert_eq!(server.post_json("/v1/video/speech", &json!({"input": "Hello", "model": "nobody"})).0, 422);

    let (status, body) = server.form("/v1/jobs", &[("head", "sample")], Some(("file", &wav)));
    let job: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(status, 202, "{job}");
    let path = format!("/v1/jobs/{}", job["id"].as_str().expect("a name"));
    let begin = Instant::now();
    let finished = loop {
        let (status, job) = server.get_json(&path);
        assert!(status == 200 && job["status"] != "failed", "{job}");
        if job["status"] == "completed" {
            break job;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{job}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(finished["progress"], 100);
    let (status, video) = server.get(&format!("{path}/video"));
    assert!(status == 200 && video.len() > 10_000);
    assert_eq!(server.form("/v1/jobs", &[], None).0, 400);
    let agent = Server::agent();
    assert_eq!(
        agent.delete(format!("{}{path}", server.url)).call().expect("an answer").status().as_u16(),
        204
    );
    assert_eq!(server.get_json(&path).0, 404);
}

#[test]
fn every_path_is_described() {
    let server = Server::start(&[]);
    let (status, description) = server.get_json("/openapi.json");
    assert_eq!((status, &description["openapi"]), (200, &json!("3.1.0")));
    let source = include_str!("../../src/serve/http/mod.rs");
    let routes: Vec<&str> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() > 20);
    let described = description["paths"].as_object().expect("paths");
    for route in &routes {
        assert!(described.contains_key(*route), "{route} is not described");
    }
    for path in described.keys() {
        assert!(routes.contains(&path.as_str()), "{path} is described, and not there");
    }
}
