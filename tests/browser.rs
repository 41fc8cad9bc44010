//! Every stage becomes a pipeline in a real browser: Chromium's compiler (Tint) refuses what naga accepts in places.

use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use surfeltalk::gpu::shaders::{Part, Reduce, STAGES, browser_source};
use surfeltalk::loss::TERMS;
use surfeltalk::loss::term::{ImageShader, ImageTerm, Kind};

/// Pipelines are made on the processor where there is no GPU.
const PATIENCE: Duration = Duration::from_secs(300);

const PAGE: &str = r#"<!doctype html><title>shaders</title><script type="module">
const tell = (result) => fetch('/result', { method: 'POST', body: JSON.stringify(result) });
try {
  const shaders = await (await fetch('/shaders')).json();
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error('there is no WebGPU adapter');
  const subgroups = adapter.features.has('subgroups');
  const device = await adapter.requestDevice({ requiredFeatures: subgroups ? ['subgroups'] : [] });
  const refused = [];
  for (const { stage, reduce, code } of shaders) {
    if (reduce === 'Subgroups' && !subgroups) throw new Error('the adapter has no subgroups');
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    const error = messages.find((message) => message.type === 'error');
    let why = error && `line ${error.lineNum}: ${error.message}`;
    if (!why) {
      try {
        await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: stage } });
      } catch (e) { why = String(e); }
    }
    if (why) refused.push(`${stage}, ${reduce}: ${why}`);
  }
  await tell({ compiled: shaders.length, refused });
} catch (e) { await tell({ compiled: 0, refused: [String(e)] }); }
</script>"#;

#[derive(Serialize)]
struct Source {
    stage: &'static str,
    reduce: String,
    code: String,
}

#[derive(Deserialize, Debug)]
struct Outcome {
    compiled: usize,
    refused: Vec<String>,
}

/// Every stage, with and without subgroups where that makes a difference, with all terms of the loss where it takes some.
fn sources() -> Vec<Source> {
    let parts: Vec<Part> = TERMS
        .iter()
        .filter_map(|term| match &term.kind {
            Kind::Image(ImageTerm { gpu: ImageShader::Pixel(text), .. }) => {
                Some(Part { name: term.name, text })
            }
            _ => None,
        })
        .collect();
    let mut sources = Vec::new();
    for (stage, _) in STAGES {
        let parts = if *stage == "pixel_terms" { &parts[..] } else { &[] };
        let [threads, subgroups] = [Reduce::Threads, Reduce::Subgroups]
            .map(|reduce| browser_source(stage, parts, reduce).expect("a source"));
        if subgroups != threads {
            sources.push(Source { stage, reduce: "Subgroups".into(), code: subgroups });
        }
        sources.push(Source { stage, reduce: "Threads".into(), code: threads });
    }
    sources
}

/// Ends the browser when the test ends, however it does.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn open(url: &str, profile: &std::path::Path) -> Browser {
    let child = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--enable-unsafe-webgpu", "--disable-background-networking"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Browser(child.expect("chromium starts; on Debian: apt-get install chromium"))
}

/// Answers one request; the body of one to `/result` is returned.
fn answer(mut stream: TcpStream, shaders: &str) -> std::io::Result<Option<String>> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (kind, text) = match first.split(' ').nth(1) {
        Some("/shaders") => ("application/json", shaders),
        Some("/") => ("text/html", PAGE),
        _ => ("text/plain", ""),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )?;
    Ok(first.contains(" /result ").then(|| String::from_utf8_lossy(&body).into_owned()))
}

fn compile(sources: &[Source]) -> Outcome {
    let shaders = serde_json::to_string(sources).expect("JSON");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(Some(result)) = answer(stream, &shaders) {
                let _ = send.send(result);
            }
        }
    });
    let profile = tempfile::tempdir().expect("a folder");
    let browser = open(&url, profile.path());
    let result = receive.recv_timeout(PATIENCE).expect("an answer of the page");
    drop(browser);
    serde_json::from_str(&result).expect("an outcome")
}

#[test]
#[ignore = "needs chromium"]
fn every_stage_becomes_a_pipeline_in_chromium() {
    let sources = sources();
    let outcome = compile(&sources);
    assert!(outcome.refused.is_empty(), "{}", outcome.refused.join("\n"));
    assert_eq!(outcome.compiled, sources.len());
}

#[test]
#[ignore = "needs chromium"]
fn what_only_naga_accepts_is_refused_by_chromium() {
    let code = "@group(0) @binding(0) var<storage, read_write> values: array<u32>;\n\
        @compute @workgroup_size(8) fn stage(@builtin(local_invocation_index) i: u32) {\n\
        if values[i] > 0u { workgroupBarrier(); }\n}";
    let outcome = compile(&[Source { stage: "stage", reduce: "Threads".into(), code: code.into() }]);
    assert!(outcome.refused[0].contains("uniform control flow"), "{outcome:?}");
}
