//! The page at `/`, in headless Chromium.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::harness::{Sandbox, tool, wait_for};

/// A browser, driven over the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>).
struct Browser {
    driver: Child,
    session: String,
    client: Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Option<Browser> {
        let program = PathBuf::from("/usr/bin/chromedriver");
        let program = tool("chromedriver", program.is_file().then_some(program))?;
        let mut driver = Command::new(program)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        // Drain the driver's output, or it blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1100,900",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let client = Client::builder()
            .timeout(std::time::Duration::from_secs(60))
            .build()
            .unwrap();
        let base = format!("http://127.0.0.1:{}", port.unwrap());
        let made: Value = client
            .post(format!("{base}/session"))
            .json(&wanted)
            .send()
            .unwrap()
            .json()
            .unwrap();
        let id = made["value"]["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no browser: {made}"));
        Some(Browser {
            driver,
            session: format!("{base}/session/{id}"),
            client,
            _profile: profile,
        })
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let url = format!("{}/{command}", self.session);
        let answer: Value = self.client.post(url).json(body).send().unwrap().json().unwrap();
        assert!(answer["value"]["error"].is_null(), "{command}: {answer}");
        answer["value"].clone()
    }

    fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// Runs a script in the page.
    fn eval(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Types on the keyboard into the focused element.
    fn keys(&self, text: &str) {
        let strokes: Vec<Value> = text
            .chars()
            .flat_map(|c| {
                [
                    json!({"type": "keyDown", "value": c}),
                    json!({"type": "keyUp", "value": c}),
                ]
            })
            .collect();
        self.post(
            "actions",
            &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}),
        );
    }

    /// Waits until a script returns true.
    fn wait(&self, what: &str, script: &str) {
        wait_for(what, || (self.eval(script) == true).then_some(()));
    }

    /// Errors and warnings on the page's console.
    fn complaints(&self) -> Vec<Value> {
        let logged = self.post("se/log", &json!({"type": "browser"}));
        let entries = logged.as_array().cloned().unwrap_or_default();
        entries
            .into_iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.client.delete(&self.session).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_searches_by_keyboard() {
    let Some(browser) = Browser::start() else { return };
    let sandbox = Sandbox::with_handbook();
    sandbox.write(
        "hostile.md",
        "# <img src=x onerror=alert(1)>\n\nWombats <script>alert(2)</script> dig burrows.\n",
    );
    let server = sandbox.serve();
    server.wait_until_complete();
    browser.open(&format!("{}/", server.base()));
    browser.wait("the search box", "return document.activeElement?.id === 'q'");

    browser.keys("where do penguins live");
    browser.wait(
        "live results",
        "return document.querySelectorAll('#hits > li.hit').length > 0",
    );
    browser.wait(
        "the right result first",
        "return document.querySelector('#hits > li.hit').textContent.includes('site/index.html')",
    );
    assert!(
        browser
            .eval("return location.search")
            .as_str()
            .unwrap()
            .contains("q=")
    );
    assert_eq!(
        browser.eval("return document.querySelector('#hits > li.hit mark') !== null"),
        true
    );

    // Markup in a document's text is shown as text.
    browser.open(&format!("{}/?q=wombats", server.base()));
    browser.wait(
        "the hostile document",
        "return document.querySelector('#hits > li.hit')?.textContent.includes('<script>') ?? false",
    );
    assert_eq!(
        browser.eval("return document.querySelector('#hits img, #hits script') === null"),
        true
    );
    assert_eq!(browser.complaints(), Vec::<Value>::new());
}
