//! The page of `surfeltalk export --web` in a real browser, whose WebGPU runs on the processor here.

#[path = "../page/browser.rs"]
#[allow(dead_code, reason = "shared with the tests of the service's page")]
mod browser;
mod files;

use assert_cmd::Command;
use browser::{Browser, Tab};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use surfeltalk::head::backend::CpuBackend;
use surfeltalk::live::performance::{Performance, PerformanceOptions};
use surfeltalk::sample;
use tempfile::TempDir;

/// WebGPU without a GPU.
const WEBGPU: [&str; 6] = [
    "--enable-unsafe-webgpu",
    "--use-angle=swiftshader",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
    "--disable-gpu-watchdog",
    "--autoplay-policy=no-user-gesture-required",
];

/// The page of the sample talker in a folder, and its address.
fn page() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::cargo_bin("surfeltalk").expect("the program");
    command.args(["export", "--web"]).arg(folder.path()).assert().success();
    let url = files::serve(folder.path());
    (folder, url)
}

fn opened(browser: &Browser, url: &str) -> Tab {
    let mut tab = browser.open(url);
    tab.wait_for("document.getElementById('state').dataset.state === 'ready'");
    tab
}

fn is_clean(tab: &Tab) {
    assert!(tab.faults.is_empty(), "{:#?}", tab.faults);
}

/// Frame `number` of the sample talker in silence, drawn on the CPU, as PNG.
fn expected(folder: &Path, number: usize) {
    let head = Arc::new(sample::trained().expect("a head"));
    let options = PerformanceOptions { frame_count: Some(number + 1), ..PerformanceOptions::default() };
    let mut performance = Performance::new(&head, Box::new(CpuBackend::new()), options).expect("ready");
    performance.push_audio(&[0.0; 16_000], 16_000).expect("heard");
    performance.finish().expect("heard");
    let frames = std::iter::from_fn(|| performance.next_frame().expect("drawn"));
    let picture = frames.last().expect("a frame").picture;
    let [width, height] = head.clip.as_ref().expect("a clip").size;
    let rgb = image::RgbImage::from_raw(width, height, picture).expect("a picture");
    rgb.save(folder.join("expected.png")).expect("written");
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_draws_what_the_cpu_draws() {
    let (folder, url) = page();
    expected(folder.path(), 4);
    let browser = Browser::start_with(None, &WEBGPU);
    let mut tab = opened(&browser, &url);
    let script = "(async () => {
        const { SpeakingHead } = await import('./surfeltalk.js');
        const bytes = new Uint8Array(await (await fetch('head.safetensors')).arrayBuffer());
        const canvas = document.createElement('canvas');
        const head = await SpeakingHead.open(bytes, canvas, 'room');
        head.pushAudio(new Float32Array(16000), 16000);
        const [width, height] = [head.width, head.height];
        const pixels = (picture) => {
            const copy = new OffscreenCanvas(width, height).getContext('2d');
            copy.drawImage(picture, 0, 0);
            return copy.getImageData(0, 0, width, height).data;
        };
        let drawn;
        for (let frame = 0; frame <= 4; frame++) {
            if (!head.draw()) throw new Error('nothing was drawn');
            drawn = pixels(canvas);
            while (head.pending > 0) await new Promise((done) => setTimeout(done, 10));
        }
        const image = await createImageBitmap(await (await fetch('expected.png')).blob());
        const wanted = pixels(image);
        let [sum, lit] = [0, 0];
        for (let at = 0; at < wanted.length; at++) {
            if (at % 4 < 3) { sum += (wanted[at] - drawn[at]) ** 2; lit += drawn[at] > 0; }
        }
        return { psnr: 10 * Math.log10(255 ** 2 / Math.max(sum / (width * height * 3), 1e-9)), lit };
    })()";
    let found = tab.value(script);
    println!("{found}");
    assert!(found["lit"].as_f64() > Some(50_000.0), "{found}");
    assert!(found["psnr"].as_f64() >= Some(45.0), "{found}");
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn a_text_is_said_and_pictures_go_with_the_sound() {
    let (_folder, url) = page();
    let browser = Browser::start_with(None, &WEBGPU);
    let mut tab = opened(&browser, &url);
    tab.click("#start");
    tab.wait_for("document.getElementById('state').dataset.state === 'waiting' && head.counts.drawn > 2");
    let asked = tab.number("performance.now()");
    tab.click("#say");
    tab.wait_for("document.getElementById('state').dataset.state === 'speaking'");
    tab.value(
        "window.probe = { loud: 0, node: head.context.createAnalyser() }; head.sound.connect(probe.node); \
         probe.samples = new Float32Array(2048); setInterval(() => { \
         probe.node.getFloatTimeDomainData(probe.samples); \
         probe.loud += probe.samples.some((sample) => Math.abs(sample) > 0.02); }, 20); true",
    );
    tab.wait_for("probe.loud > 0");
    println!("{} ms from the click to the first word", tab.number("performance.now()") - asked);
    tab.wait_for("probe.loud > 10");
    tab.keep_picture("web_speaking");
    tab.click("#stop");
    tab.wait_for("document.getElementById('state').dataset.state === 'waiting'");
    let loud = tab.number(
        "(async () => { await new Promise((done) => setTimeout(done, 700)); const before = \
        probe.loud; await new Promise((done) => setTimeout(done, 500)); return probe.loud - before; })()",
    );
    assert_eq!(loud, 0.0, "it goes on speaking");
    let counts = tab.value("head.counts");
    println!("{counts}");
    assert_eq!(counts["gaps"], 0, "the player lacked sound: {counts}");
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_without_webgpu_shows_a_still_picture_and_says_why() {
    let (_folder, url) = page();
    let browser = Browser::start_with(None, &["--disable-features=WebGPU"]);
    let mut tab = browser.open(&url);
    tab.wait_for("document.getElementById('state').dataset.state === 'none'");
    assert_eq!(tab.value("document.getElementById('still').hidden"), false);
    assert!(tab.number("document.getElementById('still').naturalWidth") > 0.0);
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn a_head_that_cannot_be_opened_is_named_in_the_page() {
    let (folder, url) = page();
    std::fs::write(folder.path().join("short.safetensors"), &sample::TRAINED[..5000]).expect("written");
    let browser = Browser::start_with(None, &WEBGPU);
    for name in ["short.safetensors", "nowhere.safetensors"] {
        let mut tab = browser.open(&format!("{url}/?head={name}"));
        tab.wait_for("document.getElementById('state').dataset.state === 'failed'");
        let said = tab.value("document.getElementById('state').textContent").to_string();
        assert!(said.len() > 60, "{said}");
        assert_eq!(tab.value("document.getElementById('still').hidden"), false);
    }
}

#[test]
#[ignore = "needs chromium"]
fn a_device_that_goes_away_is_opened_anew() {
    let (_folder, url) = page();
    let browser = Browser::start_with(None, &WEBGPU);
    let mut tab = opened(&browser, &url);
    tab.click("#start");
    tab.wait_for("head.counts.drawn > 2");
    tab.value("window.before = head.canvas; true");
    // Ends the process that draws.
    tab.call("Browser.crashGpuProcess", json!({}));
    tab.wait_for("head.canvas !== before");
    let drawn = tab.number("head.counts.drawn");
    tab.wait_for(&format!("head.counts.drawn > {drawn} + 2"));
    assert_eq!(tab.value("document.getElementById('state').dataset.state"), "waiting");
}

#[test]
#[ignore = "needs chromium"]
fn a_drag_or_a_key_turns_the_head_and_a_double_click_takes_it_back() {
    let (_folder, url) = page();
    let browser = Browser::start_with(None, &WEBGPU);
    let mut tab = opened(&browser, &url);
    tab.click("#start");
    tab.wait_for("head.counts.drawn > 2");
    let mouse = |tab: &mut Tab, kind: &str, x: u32| {
        let event = json!({"type": kind, "x": x, "y": 250, "button": "left", "buttons": 1, "clickCount": 1});
        tab.call("Input.dispatchMouseEvent", event);
    };
    // From the top: pressing Start has moved the page.
    tab.value("window.scrollTo(0, 0); true");
    mouse(&mut tab, "mousePressed", 300);
    mouse(&mut tab, "mouseMoved", 480);
    tab.wait_for("head.turned[0] > 0.2");
    mouse(&mut tab, "mouseReleased", 480);
    let drawn = tab.number("head.counts.drawn");
    tab.wait_for(&format!("head.counts.drawn > {drawn} + 2"));
    tab.keep_picture("web_turned");
    tab.value("document.querySelector('figure').focus(); true");
    tab.call("Input.dispatchKeyEvent", json!({"type": "keyDown", "key": "ArrowDown", "code": "ArrowDown"}));
    assert!(tab.number("head.turned[1]") > 0.01);
    tab.value("document.querySelector('figure').dispatchEvent(new MouseEvent('dblclick')); true");
    assert_eq!(tab.value("head.turned"), json!([0, 0]));
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn a_refused_microphone_is_said_and_a_background_is_changed() {
    let (_folder, url) = page();
    let browser = Browser::start_with(None, &[&WEBGPU[..], &["--deny-permission-prompts"]].concat());
    let mut tab = opened(&browser, &url);
    tab.click("#start");
    tab.wait_for("document.getElementById('state').dataset.state === 'waiting'");
    tab.click("#listen");
    tab.wait_for("document.getElementById('state').dataset.state === 'refused'");
    let drawn = tab.number("head.counts.drawn");
    tab.value(
        "document.getElementById('background').value = '#00b140'; \
         document.getElementById('background').dispatchEvent(new Event('change')); true",
    );
    tab.wait_for(&format!("head.counts.drawn > {drawn} + 3"));
    // What is said then is said at once, not after as much silence as was played before.
    tab.value("probed = head.context.createAnalyser(); head.sound.connect(probed); true");
    tab.click("#say");
    tab.wait_for(
        "(() => { const samples = new Float32Array(2048); probed.getFloatTimeDomainData(samples); \
         return samples.some((sample) => Math.abs(sample) > 0.02); })()",
    );
    assert!(tab.number("head.position") < 16_000.0 * 20.0);
    tab.keep_picture("web_green");
    is_clean(&tab);
}
