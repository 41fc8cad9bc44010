//! Chromium without a window, driven by its DevTools protocol over a WebSocket, as a person would drive it: by mouse, keys and
//! files.

use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// One browser at a time: what is measured is the page, not the tests beside it.
static ALONE: Mutex<()> = Mutex::new(());

/// A running browser; ended when it is dropped.
pub struct Browser {
    _alone: MutexGuard<'static, ()>,
    child: Child,
    profile: TempDir,
    port: u16,
}

impl Browser {
    /// Starts a browser; `voice` is what its microphone hears.
    pub fn start(voice: Option<&Path>) -> Self {
        Self::start_with(voice, &[])
    }

    /// As [`Browser::start`], with more flags.
    pub fn start_with(voice: Option<&Path>, flags: &[&str]) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-background-networking", "--lang=en"])
            .args(["--remote-debugging-port=0", "--no-first-run", "--mute-audio"])
            // Calls to this computer's own address; a browser makes none otherwise.
            .arg("--allow-loopback-in-peer-connection")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(flags);
        if let Some(voice) = voice {
            command
                .args(["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"])
                .arg(format!("--use-file-for-fake-audio-capture={}", voice.display()));
        }
        let child = command.arg("about:blank").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("chromium starts; on Debian: apt-get install chromium");
        let mut browser = Browser { _alone: alone, child, profile, port: 0 };
        browser.port = wait("the browser's port", || {
            let text = std::fs::read_to_string(browser.profile.path().join("DevToolsActivePort")).ok()?;
            text.lines().next()?.parse().ok()
        });
        browser
    }

    /// Opens a page in a tab of its own.
    pub fn open(&self, url: &str) -> Tab {
        // What follows a & would be taken for another parameter.
        let url = url.replace('&', "%26");
        let made = ureq::put(format!("http://127.0.0.1:{}/json/new?{url}", self.port)).send_empty();
        let made: Value = made.expect("a tab").body_mut().read_json().expect("JSON");
        let address = made["webSocketDebuggerUrl"].as_str().expect("an address");
        let (socket, _) = tungstenite::connect(address).expect("a WebSocket");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        }
        let mut tab = Tab { socket, next: 0, faults: Vec::new() };
        for domain in ["Page", "Runtime", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'");
        tab
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page in the browser.
pub struct Tab {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    next: u64,
    /// What the page's scripts did wrong.
    pub faults: Vec<String>,
}

impl Tab {
    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let message = json!({"id": self.next, "method": method, "params": parameters}).to_string();
        self.socket.send(Message::Text(message.into())).expect("sent");
        loop {
            let text = self.socket.read().expect("an answer").into_text().expect("text");
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            match answer["method"].as_str() {
                Some("Runtime.exceptionThrown") => {
                    self.faults.push(answer["params"]["exceptionDetails"].to_string());
                }
                Some("Log.entryAdded") if answer["params"]["entry"]["level"] == "error" => {
                    self.faults.push(answer["params"]["entry"].to_string());
                }
                _ => {}
            }
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression in the page; promises are waited for.
    pub fn value(&mut self, expression: &str) -> Value {
        let wishes = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", wishes);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// A number in the page.
    pub fn number(&mut self, expression: &str) -> f64 {
        self.value(expression).as_f64().unwrap_or_else(|| panic!("{expression} is no number"))
    }

    /// Waits until an expression is true.
    pub fn wait_for(&mut self, expression: &str) {
        let begin = Instant::now();
        // What is not there yet is not true yet.
        let attempt =
            format!("(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()");
        while self.value(&attempt) != true {
            if begin.elapsed() > PATIENCE {
                let state = self.value("document.getElementById('state')?.textContent");
                panic!("never true: {expression}; the page says {state}; faults: {:?}", self.faults);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks the middle of an element.
    pub fn click(&mut self, selector: &str) {
        let [x, y] = self.middle(selector);
        self.mouse("mousePressed", x, y);
        self.mouse("mouseReleased", x, y);
    }

    /// The middle of an element, which is scrolled into view.
    pub fn middle(&mut self, selector: &str) -> [f64; 2] {
        let place = self.value(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        [0, 1].map(|k| place[k].as_f64().expect("a place"))
    }

    /// Presses or releases the left button.
    pub fn mouse(&mut self, kind: &str, x: f64, y: f64) {
        let buttons = u32::from(kind == "mousePressed");
        self.call(
            "Input.dispatchMouseEvent",
            json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1}),
        );
    }

    /// Presses a key and releases it.
    pub fn press(&mut self, key: &str) {
        self.key("keyDown", key);
        self.key("keyUp", key);
    }

    /// Presses or releases a key.
    pub fn key(&mut self, kind: &str, key: &str) {
        let (name, code, number, text) = match key {
            "Enter" => ("Enter", "Enter", 13, "\r"),
            "Escape" => ("Escape", "Escape", 27, ""),
            "Tab" => ("Tab", "Tab", 9, ""),
            " " => (" ", "Space", 32, " "),
            other => panic!("{other} is no key of these tests"),
        };
        let mut event = json!({"type": kind, "key": name, "code": code, "windowsVirtualKeyCode": number});
        if kind == "keyDown" && !text.is_empty() {
            event["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Types a text where the cursor is.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Drops a file onto an element.
    pub fn drop_file(&mut self, selector: &str, file: &Path) {
        let [x, y] = self.middle(selector);
        let data = json!({"items": [], "files": [file], "dragOperationsMask": 1});
        for kind in ["dragEnter", "dragOver", "drop"] {
            let event = json!({"type": kind, "x": x, "y": y, "data": data});
            self.call("Input.dispatchDragEvent", event);
        }
    }

    /// Keeps a picture of the page in `target/tmp/page/`, for who looks at it.
    pub fn keep_picture(&mut self, name: &str) {
        // From the top, as who opens it sees it.
        self.value("window.scrollTo(0, 0)");
        use std::io::Write as _;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
        std::fs::create_dir_all(&folder).expect("a folder");
        let picture = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let bytes = decode_base64(picture["data"].as_str().expect("a picture"));
        let mut file = std::fs::File::create(folder.join(format!("{name}.png"))).expect("a file");
        file.write_all(&bytes).expect("written");
    }
}

/// Waits for something.
fn wait<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes of base64 text (RFC 4648).
fn decode_base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.bytes().filter(|c| *c != b'=').map(|c| u32::from(value(c))).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        (0..group.len() - 1).map(move |k| (bits >> (16 - 8 * k)) as u8)
    };
    digits.chunks(4).flat_map(group).collect()
}
