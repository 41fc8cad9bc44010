//! The page as a person uses it, in a real browser: text, sound files, the microphone, interruptions, keys alone, a phone.

mod browser;
mod calls;
mod in_sync;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "../serve/server.rs"]
mod server;

use browser::{Browser, Tab};
use serde_json::json;
use server::Server;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Listens to what the page plays: `probe.loud` counts how often it was heard.
const PROBE: &str = "window.probe = { loud: 0, node: context.createAnalyser() }; mix.connect(probe.node); \
    probe.samples = new Float32Array(2048); setInterval(() => { probe.node.getFloatTimeDomainData(probe.samples); \
    probe.loud += probe.samples.some(sample => Math.abs(sample) > 0.02); }, 20); true";

/// Opens the page and presses Start.
fn started(browser: &Browser, server: &Server) -> Tab {
    let mut tab = browser.open(&server.url);
    tab.wait_for("document.getElementById('head').options.length === 1");
    tab.click("#start");
    waits(&mut tab);
    tab
}

/// Waits until the head is there, and begins to listen.
fn waits(tab: &mut Tab) {
    tab.wait_for("hello && count.drawn > 3 && state === 's_waiting'");
    tab.value(PROBE);
}

/// Writes a text into the field in place of what is there.
fn write(tab: &mut Tab, text: &str) {
    tab.click("#text");
    tab.value("document.getElementById('text').select()");
    tab.write(text);
}

/// A voice in a file.
fn voice_file(server: &Server, folder: &std::path::Path, text: &str) -> PathBuf {
    let (status, wav) = server.get(&format!("/get-tts-audio?text={}", text.replace(' ', "%20")));
    assert_eq!(status, 200);
    let path = folder.join("voice.wav");
    std::fs::write(&path, wav).expect("a file");
    path
}

/// Ends a test: the page's scripts did nothing wrong.
fn is_clean(tab: &Tab) {
    assert!(tab.faults.is_empty(), "{:#?}", tab.faults);
}

#[test]
#[ignore = "needs chromium"]
fn a_text_is_said_with_sound_pictures_and_captions_and_can_be_interrupted() {
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let mut tab = browser.open(&server.url);
    tab.wait_for("document.getElementById('state').textContent.includes('Press Start')");
    // The head is seen before anything was clicked.
    tab.wait_for("document.getElementById('picture').width === 256");
    tab.click("#start");
    waits(&mut tab);
    let drawn = tab.number("count.drawn");
    write(&mut tab, "Hello there! One two three four five six seven eight nine ten eleven twelve.");
    tab.click("#say");
    tab.wait_for("speaking && probe.loud > 5");
    tab.wait_for("document.getElementById('captions').textContent.length > 5");
    assert_eq!(tab.value("document.getElementById('state').textContent"), "Speaking.");
    tab.keep_picture("speaking");
    let delay = tab.number("count.delay");
    assert!(delay < 5000.0, "{delay} ms from the text to its speech");
    tab.wait_for("document.getElementById('captions').textContent.startsWith('One')");
    assert!(tab.number("count.drawn") > drawn + 5.0);

    tab.click("#stop");
    tab.wait_for("!speaking && count.cut !== null && state === 's_waiting'");
    tab.value("new Promise(done => setTimeout(done, 600))");
    let loud = tab.number("probe.loud");
    tab.value("new Promise(done => setTimeout(done, 600))");
    assert_eq!(tab.number("probe.loud"), loud, "it is heard after the interruption");
    // What comes next is heard.
    write(&mut tab, "Well.");
    tab.click("#say");
    tab.wait_for(&format!("probe.loud > {loud}"));
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn a_sound_file_that_is_dropped_is_said_and_one_that_is_none_is_refused() {
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let folder = tempfile::tempdir().expect("a folder");
    let voice = voice_file(&server, folder.path(), "Hello there");
    let mut tab = started(&browser, &server);
    tab.drop_file("#drop", &voice);
    tab.wait_for("speaking && probe.loud > 5");
    tab.wait_for("state === 's_waiting'");
    is_clean(&tab);
    let none = folder.path().join("none.wav");
    std::fs::write(&none, "no sound").expect("a file");
    tab.drop_file("#drop", &none);
    tab.wait_for("state === 's_error'");
    assert!(tab.value("document.getElementById('state').textContent").as_str().is_some_and(|t| t.len() > 20));
    // It goes on.
    write(&mut tab, "Well.");
    tab.click("#say");
    tab.wait_for("speaking");
}

#[test]
#[ignore = "needs chromium"]
fn what_is_said_into_the_microphone_comes_back_while_the_button_is_held() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let voice = voice_file(&server, folder.path(), "One two three four five six seven eight nine ten");
    let browser = Browser::start(Some(&voice));
    let mut tab = started(&browser, &server);
    let [x, y] = tab.middle("#talk");
    tab.mouse("mousePressed", x, y);
    tab.wait_for("state === 's_listening' && probe.loud > 10");
    tab.mouse("mouseReleased", x, y);
    tab.wait_for("state !== 's_listening'");
    tab.value("new Promise(done => setTimeout(done, 1500))");
    let loud = tab.number("probe.loud");
    tab.value("new Promise(done => setTimeout(done, 600))");
    assert_eq!(tab.number("probe.loud"), loud, "it listens after the button was let go");
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn two_tabs_are_two_conversations() {
    let (browser, server) = (Browser::start(None), Server::start(&["--overcommit"]));
    let mut first = started(&browser, &server);
    let mut second = started(&browser, &server);
    assert_ne!(first.value("hello.session"), second.value("hello.session"));
    write(&mut second, "Only here.");
    second.click("#say");
    second.wait_for("probe.loud > 3");
    assert_eq!(first.number("probe.loud"), 0.0);
    is_clean(&first);
    is_clean(&second);
}

#[test]
#[ignore = "needs chromium"]
fn a_page_that_is_loaded_again_while_it_speaks_begins_anew_and_leaves_nothing_behind() {
    let (browser, server) = (Browser::start(None), Server::start(&["--max_sessions", "1"]));
    let mut tab = started(&browser, &server);
    write(&mut tab, &"One two three four five six seven eight nine ten. ".repeat(5));
    tab.click("#say");
    tab.wait_for("speaking");
    tab.call("Page.reload", json!({}));
    tab.wait_for("document.readyState === 'complete' && typeof WORDS !== 'undefined' && !hello");
    tab.wait_for("document.getElementById('head').options.length === 1");
    // There is one place, and it is free again.
    tab.click("#start");
    waits(&mut tab);
    write(&mut tab, "Well.");
    tab.click("#say");
    tab.wait_for("probe.loud > 1");
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn a_server_that_comes_back_is_found_again() {
    let (browser, mut server) = (Browser::start(None), Server::start(&["--max_sessions", "1"]));
    let mut tab = started(&browser, &server);
    let address = server.url.trim_start_matches("http://").to_owned();
    let _ = server.child.kill();
    let _ = server.child.wait();
    tab.wait_for("state === 's_lost'");
    let _server = Server::start(&["--listen", &address]);
    tab.wait_for("hello && state === 's_waiting'");
    // A second session finds no place, and is told so.
    let mut other = browser.open(&format!("http://{address}"));
    other.wait_for("document.getElementById('head').options.length === 1");
    drop(other);
}

#[test]
#[ignore = "needs chromium"]
fn keys_alone_do_all() {
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let mut tab = browser.open(&server.url);
    tab.wait_for("document.getElementById('head').options.length === 1");
    let focus = |tab: &mut Tab, id: &str| {
        let begin = Instant::now();
        while tab.value("document.activeElement.id") != id {
            tab.press("Tab");
            assert!(begin.elapsed() < Duration::from_secs(20), "no key leads to {id}");
        }
        // What has the focus can be seen to have it.
        let outline = tab.value(
            "[document.activeElement, document.activeElement.closest('label')].some(e => e && \
             ['solid', 'auto'].includes(getComputedStyle(e).outlineStyle))",
        );
        assert_eq!(outline, true, "{id}");
    };
    focus(&mut tab, "start");
    tab.press("Enter");
    waits(&mut tab);
    focus(&mut tab, "text");
    tab.value("document.activeElement.select()");
    tab.write("One two three four five six seven eight nine ten.");
    tab.press("Enter");
    tab.wait_for("speaking && probe.loud > 2");
    tab.press("Escape");
    tab.wait_for("!speaking && state === 's_waiting'");
    for id in ["say", "stop", "talk", "record", "file", "head", "voice", "background", "show_captions"] {
        focus(&mut tab, id);
    }
    // Everything that can be used says what it is.
    let nameless = tab.value(
        "[...document.querySelectorAll('button, select, textarea, input, canvas')].filter(e => !(e.textContent.trim() || \
         e.getAttribute('aria-label') || (e.labels && e.labels[0] && e.labels[0].textContent.trim()))).map(e => e.id)",
    );
    assert_eq!(nameless, json!([]));
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn it_fits_a_phone_and_reads_chinese() {
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let mut tab = browser.open(&server.url);
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true}),
    );
    tab.wait_for("document.getElementById('head').options.length === 1");
    tab.click("#start");
    waits(&mut tab);
    let fits = |tab: &mut Tab| {
        assert_eq!(tab.value("document.documentElement.scrollWidth <= innerWidth"), true, "it scrolls aside");
        let small = tab.value(
            "[...document.querySelectorAll('button')].filter(b => b.offsetParent && b.offsetHeight < 44).map(b => b.id)",
        );
        assert_eq!(small, json!([]), "too small for a finger");
    };
    fits(&mut tab);
    tab.value("window.scrollTo(0, 0)");
    tab.keep_picture("phone");
    // Picture and text are seen together.
    let bottom = tab.number("document.getElementById('text').getBoundingClientRect().bottom");
    assert!(bottom < 740.0, "the text field ends at {bottom}");
    tab.click("#language");
    tab.wait_for("document.documentElement.lang === 'zh'");
    let left = tab.value(
        "[...document.querySelectorAll('[data-text]')].map(e => e.textContent.replace(/WebSocket|WebRTC/g, '')).filter(t => /[a-z]{4,}/.test(t))",
    );
    assert_eq!(left, json!([]), "not translated");
    fits(&mut tab);
    tab.value("window.scrollTo(0, 0)");
    tab.keep_picture("phone_chinese");
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn every_background_is_seen_behind_the_head() {
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let mut tab = started(&browser, &server);
    let choose = |tab: &mut Tab, name: &str| {
        tab.value(&format!(
            "window.before = hello && hello.session; document.getElementById('background').value = {name:?}; \
                            document.getElementById('background').dispatchEvent(new Event('change')); true"
        ));
    };
    let corner = |tab: &mut Tab| {
        tab.wait_for("hello && hello.session !== before && state === 's_waiting' && shown > 0");
        let pixel = tab.value("[...surface.getImageData(5, 5, 1, 1).data]");
        [0, 1, 2, 3].map(|k| pixel[k].as_f64().expect("a byte"))
    };
    let is_near =
        |found: [f64; 4], wanted: [f64; 4]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 12.0);
    for (name, wanted) in
        [("white", [255.0; 4]), ("black", [0.0, 0.0, 0.0, 255.0]), ("transparent", [0.0; 4])]
    {
        choose(&mut tab, name);
        let found = corner(&mut tab);
        assert!(is_near(found, wanted), "{name}: {found:?}");
    }
    tab.value("window.scrollTo(0, 0)");
    tab.keep_picture("transparent");
    tab.value("document.getElementById('color').value = '#1020f0'");
    choose(&mut tab, "color");
    let found = corner(&mut tab);
    assert!(is_near(found, [16.0, 32.0, 240.0, 255.0]), "{found:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wall.png");
    image::RgbImage::from_pixel(40, 30, image::Rgb([200, 40, 90])).save(&file).expect("a picture");
    tab.value("window.before = hello.session");
    tab.drop_file("#stage", &file);
    let found = corner(&mut tab);
    assert!(is_near(found, [200.0, 40.0, 90.0, 255.0]), "{found:?}");
    tab.keep_picture("picture");
    is_clean(&tab);
}

#[test]
#[ignore = "needs chromium"]
fn a_chinese_page_stands_beside_the_english_one() {
    let (browser, server) = (Browser::start(None), Server::start(&[]));
    let mut tab = browser.open(&format!("{}/zh", server.url));
    tab.wait_for(
        "document.documentElement.lang === 'zh' && document.getElementById('say').textContent === '说出来'",
    );
    tab.click("#language");
    tab.wait_for("location.pathname === '/' && document.getElementById('say').textContent === 'Say it'");
    is_clean(&tab);
}
