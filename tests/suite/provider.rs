//! An OpenAI-compatible embedding server that fails on demand in the ways real ones do.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// Dimensions of its vectors.
pub const DIMENSIONS: usize = 64;

/// How it handles a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// Answers correctly.
    Good,
    /// Answers with the vectors in another order than the texts.
    Shuffled,
    /// Answers with this status and body.
    Status(u16, String),
    /// Answers 429 with `Retry-After: 0`.
    Busy,
    /// Never answers; returns when the client hangs up.
    Silent,
    /// Hangs up before answering.
    HungUp,
    /// Hangs up in the middle of the answer.
    CutOff,
    /// Answers with vectors of other dimensions.
    Length(usize),
    /// Answers with NaN.
    NotANumber,
    /// Answers with one vector too few.
    Fewer,
    /// Answers 400 to more texts than this.
    AtMost(usize),
    /// Answers 400, quoting the text, if any text contains this.
    Refuses(&'static str),
    /// Answers 400 to a request with `dimensions`.
    FixedLength,
    /// Redirects.
    Redirect(String),
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The body.
    pub body: Value,
    /// The header `Authorization`.
    pub authorization: Option<String>,
}

impl Asked {
    /// The texts.
    pub fn texts(&self) -> Vec<&str> {
        self.body["input"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .collect()
    }
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Behaviour>>,
    usual: Mutex<Option<Behaviour>>,
    asked: Mutex<Vec<Asked>>,
    under_way: AtomicUsize,
    peak: AtomicUsize,
    stopped: AtomicBool,
}

/// The server, stopped on drop.
pub struct Provider {
    address: SocketAddr,
    state: Arc<State>,
    accepting: Option<JoinHandle<()>>,
}

impl Provider {
    /// Starts on its own loopback address, because another process could take the port once this server stops.
    pub fn start() -> Provider {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let address = if cfg!(target_os = "linux") {
            let [.., high, low] = std::process::id().to_be_bytes();
            let count = STARTED.fetch_add(1, Ordering::SeqCst) % 250 + 1;
            Ipv4Addr::new(127, high, low, count as u8)
        } else {
            Ipv4Addr::LOCALHOST
        };
        Provider::at(SocketAddr::from((address, 0)))
    }

    /// Starts at the address of an earlier server.
    pub fn at(address: SocketAddr) -> Provider {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (stream, state) = (stream.unwrap(), Arc::clone(&shared));
                // Some tests are about clients that hang up.
                std::thread::spawn(move || drop(answer(stream, &state)));
            }
        });
        Provider {
            address,
            state,
            accepting: Some(accepting),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Sets the behaviour for the next requests, one each.
    pub fn next(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.state.script.lock().unwrap().extend(behaviours);
    }

    /// Sets the behaviour for all later requests.
    pub fn always(&self, behaviour: Behaviour) {
        *self.state.usual.lock().unwrap() = Some(behaviour);
    }

    /// All received requests, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Most concurrent requests so far.
    pub fn peak(&self) -> usize {
        self.state.peak.load(Ordering::SeqCst)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wake the accepting thread.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn answer(stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut authorization, mut line) = (0, None, String::new());
    while reader.read_line(&mut line)? > 2 {
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return Ok(());
    };
    let asked = Asked { body, authorization };
    let under_way = UnderWay::begin(state);
    state.asked.lock().unwrap().push(asked.clone());
    let scripted = state.script.lock().unwrap().pop_front();
    let usual = || state.usual.lock().unwrap().clone().unwrap_or(Behaviour::Good);
    behave(
        &scripted.unwrap_or_else(usual),
        &asked,
        under_way,
        stream,
        &mut reader,
    )
}

/// Counts a request as running until dropped.
struct UnderWay<'a>(&'a State);

impl UnderWay<'_> {
    fn begin(state: &State) -> UnderWay<'_> {
        let count = state.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        state.peak.fetch_max(count, Ordering::SeqCst);
        UnderWay(state)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

fn behave(
    behaviour: &Behaviour,
    asked: &Asked,
    under_way: UnderWay<'_>,
    mut stream: TcpStream,
    reader: &mut BufReader<TcpStream>,
) -> std::io::Result<()> {
    let texts = asked.texts();
    let refusal =
        |message: &str| json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string();
    let (status, header, body) = match behaviour {
        Behaviour::Silent => {
            // The client sends no more, so this returns when it hangs up.
            reader.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
        Behaviour::HungUp => return Ok(()),
        Behaviour::CutOff => {
            let whole = vectors(&texts, DIMENSIONS, false);
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                whole.len()
            )?;
            return stream.write_all(&whole.as_bytes()[..whole.len() / 2]);
        }
        Behaviour::Status(status, body) => (*status, String::new(), body.clone()),
        Behaviour::Busy => (429, "Retry-After: 0\r\n".to_owned(), refusal("slow down")),
        Behaviour::Redirect(to) => (307, format!("Location: {to}\r\n"), String::new()),
        Behaviour::AtMost(count) if texts.len() > *count => (
            400,
            String::new(),
            refusal(&format!("the batch has over {count} inputs")),
        ),
        Behaviour::Refuses(word) if texts.iter().any(|text| text.contains(word)) => {
            let culprit = texts.iter().find(|text| text.contains(word)).unwrap();
            (400, String::new(), refusal(&format!("cannot embed {culprit:?}")))
        }
        Behaviour::FixedLength if asked.body.get("dimensions").is_some() => (
            400,
            String::new(),
            refusal("this model does not support dimensions"),
        ),
        Behaviour::Length(length) => (200, String::new(), vectors(&texts, *length, false)),
        Behaviour::Shuffled => (200, String::new(), vectors(&texts, DIMENSIONS, true)),
        Behaviour::Fewer => (200, String::new(), vectors(&texts[1..], DIMENSIONS, false)),
        Behaviour::NotANumber => {
            let body =
                vectors(&texts, DIMENSIONS, false).replacen("\"embedding\":[", "\"embedding\":[NaN,", 1);
            (200, String::new(), body)
        }
        Behaviour::Good | Behaviour::AtMost(_) | Behaviour::Refuses(_) | Behaviour::FixedLength => {
            let length = asked.body["dimensions"]
                .as_u64()
                .map_or(DIMENSIONS, |length| length as usize);
            (200, String::new(), vectors(&texts, length, false))
        }
    };
    // Stop counting before answering: the client may send the next request at once.
    drop(under_way);
    write!(
        stream,
        "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Body of an answer.
fn vectors(texts: &[&str], length: usize, backwards: bool) -> String {
    let mut data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(
            |(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(text, length)}),
        )
        .collect();
    if backwards {
        data.reverse();
    }
    json!({"object": "list", "data": data, "usage": {"prompt_tokens": 1}}).to_string()
}

/// The sum of one vector per word. Texts with common words are therefore close. Not normalized.
fn vector(text: &str, length: usize) -> Vec<f32> {
    let mut sum = vec![0.01; length];
    for word in text
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 2)
    {
        for (value, byte) in sum.iter_mut().zip(0u64..) {
            // FNV-1a of word and dimension.
            let hash = word
                .bytes()
                .chain(byte.to_le_bytes())
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            *value += if (hash >> 32) & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
    sum
}
