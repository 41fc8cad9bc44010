//! The page's other transport: a call by WebRTC.

use crate::browser::{Browser, Tab};
use crate::server::Server;
use crate::{is_clean, write};

/// Listens to what the call plays, as `PROBE` does to what the WebSocket brings.
const PROBE: &str = "window.probe = { loud: 0, node: context.createAnalyser(), gain: context.createGain() }; probe.gain.gain.value = 0; \
    context.createMediaStreamSource($('live').srcObject).connect(probe.node).connect(probe.gain).connect(context.destination); \
    probe.samples = new Float32Array(2048); setInterval(() => { probe.node.getFloatTimeDomainData(probe.samples); \
    probe.loud += probe.samples.some(sample => Math.abs(sample) > 0.02); }, 20); true";

/// How much the picture changes within a second.
const MOVES: &str = "(async () => { const look = () => { const c = new OffscreenCanvas(64, 64).getContext('2d'); \
    c.drawImage($('live'), 0, 0, 64, 64); return c.getImageData(0, 0, 64, 64).data; }; let most = 0; const before = look(); \
    for (let k = 0; k < 10; k++) { await new Promise(done => setTimeout(done, 100)); const now = look(); \
    most = Math.max(most, now.reduce((sum, value, i) => sum + Math.abs(value - before[i]), 0)); } return most; })()";

fn started(browser: &Browser, server: &Server) -> Tab {
    let mut tab = browser.open(&format!("{}/?transport=webrtc", server.url));
    tab.wait_for("document.getElementById('head').options.length === 1");
    tab.click("#start");
    tab
}

#[test]
#[ignore = "needs chromium"]
fn a_call_says_a_text_with_sound_pictures_and_captions_and_can_be_interrupted() {
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let mut tab = started(&browser, &server);
    tab.wait_for("call && hello && count.drawn > 3 && state === 's_waiting'");
    tab.value(PROBE);
    write(&mut tab, "Hello there! One two three four five six seven eight nine ten eleven twelve.");
    tab.click("#say");
    tab.wait_for("speaking && probe.loud > 5");
    tab.wait_for("document.getElementById('captions').textContent.length > 5");
    let moved = tab.number(MOVES);
    assert!(moved > 1000.0, "{moved}");
    tab.keep_picture("call");
    tab.wait_for("document.getElementById('captions').textContent.startsWith('One')");
    tab.value("document.getElementById('figures').closest('details').open = true");
    tab.wait_for("document.getElementById('figures').textContent.includes('WebRTC') && count.rate > 1000");
    println!(
        "text to speech {:.0} ms, buffer {:.0} ms, {:.0} kbit/s",
        tab.number("count.delay"),
        tab.number("count.buffer"),
        tab.number("count.rate") * 8e-3
    );
    tab.click("#stop");
    tab.wait_for("!speaking && count.cut !== null && state === 's_waiting'");
    tab.value("new Promise(done => setTimeout(done, 600))");
    let loud = tab.number("probe.loud");
    tab.value("new Promise(done => setTimeout(done, 600))");
    assert_eq!(tab.number("probe.loud"), loud, "it is heard after the interruption");
    // Back to the other transport, and what is said goes on.
    tab.value("$('transport').value = 'websocket'; $('transport').dispatchEvent(new Event('change')); true");
    tab.wait_for("!call && hello && t0 !== null && state === 's_waiting'");
    write(&mut tab, "Well.");
    tab.click("#say");
    tab.wait_for("speaking");
    tab.wait_for("document.getElementById('figures').textContent.includes('WebSocket')");
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn where_a_call_finds_no_way_the_websocket_does() {
    // An address that is kept for documentation: nobody is there.
    let (browser, server) = (Browser::start(None), Server::start(&["--public_ip", "203.0.113.1"]));
    let mut tab = started(&browser, &server);
    tab.wait_for("!call && hello && count.drawn > 3 && state === 's_waiting'");
    assert_eq!(tab.value("$('transport').value"), "websocket");
    assert_eq!(tab.value("$('transport_note').hidden"), false);
    is_clean(&tab);
}
