//! Chromium, driven over the DevTools protocol: the dozen messages that the tests need. A client of the whole protocol is generated code
//! that takes minutes to compile.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser without a window, and one page in it.
pub(crate) struct Browser {
    process: Child,
    profile: PathBuf,
    socket: WebSocket<TcpStream>,
    session: String,
    sent: u64,
    /// What the page did meanwhile.
    events: VecDeque<Value>,
}

impl Browser {
    pub(crate) fn start() -> Self {
        // A second browser on one profile would only open a window in the first.
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("freqreg-browser-{}-{number}", std::process::id());
        let profile = std::env::temp_dir().join(name);
        let program = std::env::var("CHROMIUM").ok();
        let mut names = program.iter().map(String::as_str).chain(NAMES);
        let started = names.find_map(|name| {
            Command::new(name)
                // The sandbox refuses to run as root, as continuous integration does.
                .args([
                    "--headless=new",
                    "--no-sandbox",
                    "--remote-debugging-port=0",
                    "--disable-gpu",
                    "--no-first-run",
                ])
                .arg("--disable-background-networking")
                .arg(format!("--user-data-dir={}", profile.display()))
                .arg("about:blank")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .ok()
        });
        let mut process = started
            .expect("Chromium is needed: `apt-get install chromium`, or name it in CHROMIUM");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                Some(
                    line.ok()?
                        .strip_prefix("DevTools listening on ")?
                        .to_string(),
                )
            })
            .expect("Chromium says where it listens");
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let host = address
            .trim_start_matches("ws://")
            .split('/')
            .next()
            .unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(&address, stream).unwrap();
        let mut browser = Browser {
            process,
            profile,
            socket,
            session: String::new(),
            sent: 0,
            events: VecDeque::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let id = &target["targetId"];
        let attached = browser.call(
            "Target.attachToTarget",
            json!({"targetId": id, "flatten": true}),
        );
        browser.session = attached["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    fn receive(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self
                .socket
                .read()
                .expect("Chromium answers within a minute")
            {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Calls a method, and returns its result.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.socket
            .send(Message::text(message.to_string()))
            .unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == id {
                assert!(
                    answer.get("error").is_none(),
                    "{method}: {}",
                    answer["error"]
                );
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    /// The value of an expression in the page; promises are waited for.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", parameters);
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        answer["result"]["value"].clone()
    }

    /// Opens a page and waits until it has loaded; how long that took.
    pub(crate) fn open(&mut self, url: &str) -> Duration {
        let start = Instant::now();
        self.call("Page.navigate", json!({"url": url}));
        self.wait(&format!(
            "document.readyState === 'complete' && location.href === '{url}'"
        ));
        start.elapsed()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        let start = Instant::now();
        while self.value(expression) != true {
            assert!(
                start.elapsed() < PATIENCE,
                "it never came true that {expression}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What happened in the page since this was last asked: the events of one method.
    pub(crate) fn happened(&mut self, method: &str) -> Vec<Value> {
        // So that whatever is on its way has arrived.
        self.value("1");
        let of = |e: &&Value| e["method"] == method;
        let found = self
            .events
            .iter()
            .filter(of)
            .map(|e| e["params"].clone())
            .collect();
        self.events.retain(|e| e["method"] != method);
        found
    }

    /// The size of the window, in CSS pixels.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let mobile = width < 700;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}),
        );
    }

    /// Light or dark, as the user's system is set.
    pub(crate) fn scheme(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
