//! Sound and picture together, through the whole chain: the server marks pictures in which something is heard, a file of beeps is
//! played, and the page is watched for when a beep begins and when its mark appears.
//!
//! `SURFELTALK_SYNC_SECONDS=600 cargo test --release --test page in_sync -- --ignored` takes ten minutes; without it 30 seconds.

use crate::browser::Browser;
use crate::server::Server;
use serde_json::Value;

/// What is played and shown.
const SOCKET: &str =
    "window.tap = () => mix; window.corner = () => surface.getImageData(8, 8, 1, 1).data[1]; true";
/// Watches sound by the last 2048 samples of what is played, and the mark with every picture of the screen.
const WATCH: &str = r"
window.log = { beeps: [], flashes: [] };
(() => {
  const node = context.createAnalyser(), silent = context.createGain();
  node.fftSize = 2048; silent.gain.value = 0;
  tap().connect(node).connect(silent).connect(context.destination);
  const samples = new Float32Array(2048), last = { beep: -1, flash: false };
  setInterval(() => {
    node.getFloatTimeDomainData(samples);
    const end = performance.now() / 1000 + (context.outputLatency || 0);
    const first = samples.findIndex(sample => Math.abs(sample) > 0.1);
    const at = end - (samples.length - first) / context.sampleRate;
    // A beep begins where it was silent for the quarter of a second before.
    if (first >= 0) { if (at - last.beep > 0.25) log.beeps.push(at); last.beep = end; }
  }, 5);
  const look = () => {
    requestAnimationFrame(look);
    const flash = corner() > 128;
    if (flash && !last.flash) log.flashes.push(performance.now() / 1000);
    last.flash = flash;
  };
  requestAnimationFrame(look);
})(); true";

/// Beeps of 0.2 s once a second, 16 bits mono at 16 kHz, each at the beginning of a frame.
fn beeps(seconds: usize) -> Vec<u8> {
    let sample = |k: usize| {
        let is_loud = k % 16_000 < 3200;
        let value = (k as f32 * 2.0 * std::f32::consts::PI * 1000.0 / 16_000.0).cos() * 16_000.0;
        if is_loud { value as i16 } else { 0 }
    };
    let data: Vec<u8> = (0..16_000 * seconds).flat_map(|k| sample(k).to_le_bytes()).collect();
    let mut wav = b"RIFF....WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data".to_vec();
    wav.extend((data.len() as u32).to_le_bytes());
    wav.extend(data);
    let length = (wav.len() - 8) as u32;
    wav[4..8].copy_from_slice(&length.to_le_bytes());
    wav
}

#[test]
#[ignore = "needs chromium"]
fn sound_and_picture_stay_together() {
    measure("mark=sound", SOCKET);
}

fn measure(query: &str, taps: &str) {
    let seconds =
        std::env::var("SURFELTALK_SYNC_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("beeps.wav");
    std::fs::write(&file, beeps(seconds)).expect("a file");
    let mut tab = browser.open(&format!("{}/?{query}", server.url));
    tab.wait_for("document.getElementById('head').options.length === 1");
    tab.click("#start");
    tab.wait_for("hello && count.drawn > 3 && state === 's_waiting'");
    tab.value(taps);
    tab.value(WATCH);
    tab.drop_file("#drop", &file);
    std::thread::sleep(std::time::Duration::from_secs(seconds as u64));
    tab.wait_for("state === 's_waiting'");
    let times = |found: Value| -> Vec<f64> {
        found.as_array().expect("times").iter().filter_map(Value::as_f64).collect()
    };
    let (beeps, flashes) = (times(tab.value("log.beeps")), times(tab.value("log.flashes")));
    let nearest = |flash: &f64| {
        let distance = |beep: &f64| flash - beep;
        beeps.iter().map(distance).min_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(f64::MAX)
    };
    // A beep whose marked pictures were all passed over has no flash, and is the nearest of none.
    let mut late: Vec<f64> = flashes.iter().map(nearest).map(|seconds| 1e3 * seconds).collect();
    late.sort_by(f64::total_cmp);
    let mut apart: Vec<f64> = late.iter().map(|ms| ms.abs()).collect();
    apart.sort_by(f64::total_cmp);
    let (median, worst) = (apart[apart.len() / 2], apart[apart.len() - 1]);
    println!(
        "{query}: {} beeps, {} flashes; picture after sound: median {:.0} ms, from {:.0} to {:.0} ms; apart: median {median:.0} ms, \
         worst {worst:.0} ms; {} sounds came too late",
        beeps.len(),
        flashes.len(),
        late[late.len() / 2],
        late[0],
        late[late.len() - 1],
        tab.number("count.late")
    );
    let wanted = seconds * 8 / 10;
    assert!(
        beeps.len() >= wanted && flashes.len() >= wanted,
        "{} beeps, {} flashes",
        beeps.len(),
        flashes.len()
    );
    assert!(median <= 40.0 && worst <= 100.0, "{late:?}");
}
