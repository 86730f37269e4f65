//! A folder that changes at random and remembers every version of every document.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use autorag_store::ContentHash;

use crate::random::Random;

const WORDS: &[&str] = &[
    "harbour", "lantern", "engine", "meadow", "signal", "copper", "orchard", "glacier", "violin", "compass",
    "ember", "thicket", "anchor", "quarry", "saddle", "beacon",
];

/// Bounds of the number of documents.
const MIN_DOCUMENTS: usize = 20;
const MAX_DOCUMENTS: usize = 80;

/// A folder of documents. Each version of each document contains one unique word.
pub struct Folder {
    root: PathBuf,
    random: Random,
    /// Existing documents: key and unique word.
    live: BTreeMap<String, String>,
    /// Text of every version, by key and hash.
    versions: HashMap<(String, String), String>,
    /// History of each document: since when it has which hash; `None` while it does not exist.
    states: HashMap<String, Vec<(Instant, Option<String>)>>,
    /// Unique words of versions that no longer exist.
    gone: Vec<String>,
    written: u64,
}

impl Folder {
    /// A folder at `root` with this many documents.
    pub fn new(root: &Path, seed: u64, documents: usize) -> Folder {
        let mut folder = Folder {
            root: root.to_owned(),
            random: Random::new(seed),
            live: BTreeMap::new(),
            versions: HashMap::new(),
            states: HashMap::new(),
            gone: Vec::new(),
            written: 0,
        };
        for _ in 0..documents {
            folder.add();
        }
        folder
    }

    /// Existing documents: key and unique word.
    pub fn live(&self) -> &BTreeMap<String, String> {
        &self.live
    }

    /// Unique words of versions that no longer exist.
    pub fn gone(&self) -> &[String] {
        &self.gone
    }

    /// Text of the version with this hash, if it ever existed.
    pub fn version(&self, key: &str, hash: &str) -> Option<&str> {
        self.versions
            .get(&(key.to_owned(), hash.to_owned()))
            .map(String::as_str)
    }

    /// Freshness values that an answer started at `since` may report for a version of a document.
    pub fn freshness(&self, key: &str, hash: &str, since: Instant) -> Vec<&'static str> {
        let states = self.states.get(key).map_or(&[][..], Vec::as_slice);
        let first = states.partition_point(|(at, _)| *at <= since).saturating_sub(1);
        let possible = states[first..].iter().map(|(_, state)| match state {
            None => "deleted",
            Some(now) if now == hash => "current",
            Some(_) => "stale",
        });
        possible.collect()
    }

    /// Makes one random change: mostly an edit, else an addition, removal, rename or touch; rarely many edits at once, like a checkout.
    pub fn change(&mut self) {
        match self.random.below(20) {
            _ if self.live.len() < MIN_DOCUMENTS => self.add(),
            _ if self.live.len() > MAX_DOCUMENTS => self.remove(),
            0..8 => self.edit(),
            8..11 => self.add(),
            11..14 => self.remove(),
            14..16 => self.rename(),
            16..18 => self.touch(),
            18 => self.rename_folder(),
            _ => (0..1 + self.live.len() / 3).for_each(|_| self.edit()),
        }
    }

    fn add(&mut self) {
        let key = format!("{}/report-{}.md", self.random.below(7), self.written);
        self.write(key);
    }

    fn edit(&mut self) {
        if let Some(key) = self.any() {
            self.forget(&key);
            self.write(key);
        }
    }

    fn remove(&mut self) {
        if let Some(key) = self.any() {
            self.forget(&key);
            fs_err::remove_file(self.root.join(&key)).unwrap();
            self.is_now(&key, None);
        }
    }

    fn rename(&mut self) {
        let Some(key) = self.any() else { return };
        self.written += 1;
        let to = format!("{}/moved-{}.md", self.random.below(7), self.written);
        self.moved(&key, to);
    }

    fn rename_folder(&mut self) {
        let Some(key) = self.any() else { return };
        let Some((folder, _)) = key.split_once('/') else {
            return;
        };
        let inside: Vec<String> = self
            .live
            .keys()
            .filter(|key| key.starts_with(&format!("{folder}/")))
            .cloned()
            .collect();
        self.written += 1;
        for key in inside {
            let name = key.rsplit('/').next().unwrap();
            self.moved(&key, format!("away-{}/{name}", self.written));
        }
    }

    fn touch(&mut self) {
        let Some(key) = self.any() else { return };
        let file = fs_err::OpenOptions::new()
            .write(true)
            .open(self.root.join(key))
            .unwrap();
        file.file().set_modified(std::time::SystemTime::now()).unwrap();
    }

    fn any(&mut self) -> Option<String> {
        let keys: Vec<&String> = self.live.keys().collect();
        (!keys.is_empty()).then(|| keys[self.random.below(keys.len() as u64) as usize].clone())
    }

    fn forget(&mut self, key: &str) {
        self.gone.extend(self.live.remove(key));
    }

    fn moved(&mut self, key: &str, to: String) {
        let path = self.root.join(&to);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::rename(self.root.join(key), &path).unwrap();
        let word = self.live.remove(key).unwrap();
        self.is_now(key, None);
        self.remember(to, word, fs_err::read_to_string(path).unwrap());
    }

    fn write(&mut self, key: String) {
        self.written += 1;
        let word = word(self.written);
        let mut text = format!("# Report of {word}\n");
        for section in 0..1 + self.random.below(3) {
            let _ = write!(text, "\n## Part {section}\n\nThis is {word}: ");
            for _ in 0..20 + self.random.below(40) {
                let _ = write!(text, "{} ", self.random.choose(WORDS));
            }
            text.push('\n');
        }
        let path = self.root.join(&key);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        // Atomically, as editors write.
        let beside = self.root.with_extension("new");
        fs_err::write(&beside, &text).unwrap();
        fs_err::rename(beside, path).unwrap();
        self.remember(key, word, text);
    }

    fn remember(&mut self, key: String, word: String, text: String) {
        let hash = ContentHash::of(text.as_bytes()).to_string();
        self.is_now(&key, Some(hash.clone()));
        self.versions.insert((key.clone(), hash), text);
        self.live.insert(key, word);
    }

    fn is_now(&mut self, key: &str, state: Option<String>) {
        let states = self.states.entry(key.to_owned()).or_default();
        states.push((Instant::now(), state));
    }
}

/// A unique word for a number. Letters only, because words with digits also match by their parts.
fn word(mut number: u64) -> String {
    let mut word = String::from("zq");
    while number > 0 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word.push_str("zq");
    word
}
