//! Settings: defaults, then `autorag.toml`, then `AUTORAG_*`, then flags; checked once, each error naming its setting.
//!
//! Every layer is a TOML table of the same shape, laid over the one before, so that a setting has one name, one type
//! and one check wherever it comes from.

use std::path::{Path, PathBuf};

use autorag_embedder::ModelSource;
use autorag_indexer::IndexOptions;
use autorag_query::MAX_RERANK_BUDGET;
use serde::Deserialize;
use toml::{Table, Value};

mod model;
mod rerank;
mod sections;
#[cfg(test)]
mod tests;

pub use model::{FASTEMBED, HUB, ModelSettings, Provider, hub_cache};
pub use rerank::RerankSettings;
pub use sections::{IndexSettings, LogFormat, LogSettings, SearchSettings, ServerSettings, VectorSettings};

/// Prefix of the environment variables that set something.
const ENV_PREFIX: &str = "AUTORAG_";
/// Name of the settings file in the current directory and under the XDG configuration directory.
const FILE_NAME: &str = "autorag.toml";
/// Tokens that mark the ends of a text, for most models.
const MARKERS: usize = 2;
/// Most seconds between walks.
const LONGEST_RECONCILE: u64 = 7 * 24 * 60 * 60;

/// A settings file, variable or flag that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or not readable.
    #[error("cannot read the settings file: {0}")]
    Read(#[from] std::io::Error),
    /// The file is not TOML, or has a setting of the wrong name or type.
    #[error("{origin}: {message}")]
    Malformed {
        /// File, variable or flag.
        origin: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value outside its range.
    #[error("{setting}: {message}")]
    Invalid {
        /// Name of the setting, such as `server.addr`.
        setting: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
}

/// All settings, checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Folder that holds the indexes, one subfolder for each folder indexed.
    pub data_dir: Option<PathBuf>,
    /// What concerns HTTP.
    pub server: ServerSettings,
    /// What concerns reading and cutting files.
    pub index: IndexSettings,
    /// What concerns searches that do not say otherwise.
    pub search: SearchSettings,
    /// What concerns a reranker.
    pub rerank: RerankSettings,
    /// What concerns the embedding model.
    pub model: ModelSettings,
    /// What concerns the search of vectors.
    pub vectors: VectorSettings,
    /// What concerns logs.
    pub log: LogSettings,
}

/// How a variable's or flag's text is read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Decimal,
    Switch,
    /// Separated by commas.
    List,
}

/// Every setting that a variable can set.
const SETTINGS: &[(&str, Kind)] = &[
    ("data_dir", Kind::Text),
    ("server.addr", Kind::Text),
    ("server.max_body_bytes", Kind::Number),
    ("server.max_concurrent", Kind::Number),
    ("server.timeout_ms", Kind::Number),
    ("index.include", Kind::List),
    ("index.exclude", Kind::List),
    ("index.hidden", Kind::Switch),
    ("index.respect_ignore", Kind::Switch),
    ("index.follow_links", Kind::Switch),
    ("index.max_file_size", Kind::Number),
    ("index.chunk_tokens", Kind::Number),
    ("index.chunk_overlap_percent", Kind::Number),
    ("index.threads", Kind::Number),
    ("index.watch", Kind::Text),
    ("index.reconcile_secs", Kind::Number),
    ("index.retry_secs", Kind::Number),
    ("search.score_threshold", Kind::Decimal),
    ("rerank.url", Kind::Text),
    ("rerank.api", Kind::Text),
    ("rerank.model", Kind::Text),
    ("rerank.key_env", Kind::Text),
    ("rerank.candidates", Kind::Number),
    ("rerank.budget_ms", Kind::Number),
    ("model.provider", Kind::Text),
    ("model.path", Kind::Text),
    ("model.name", Kind::Text),
    ("model.base_url", Kind::Text),
    ("model.dimensions", Kind::Number),
    ("model.query_prefix", Kind::Text),
    ("model.passage_prefix", Kind::Text),
    ("model.max_tokens", Kind::Number),
    ("model.batch_tokens", Kind::Number),
    ("model.batch_texts", Kind::Number),
    ("model.concurrency", Kind::Number),
    ("model.timeout_secs", Kind::Number),
    ("model.query_timeout_ms", Kind::Number),
    ("model.key_env", Kind::Text),
    ("vectors.index", Kind::Text),
    ("log.level", Kind::Text),
    ("log.format", Kind::Text),
];

/// A setting given on the command line: its name, and its value.
pub type Override = (&'static str, Value);

impl Settings {
    /// Lays file, variables and flags over the defaults.
    ///
    /// `file` is the one named by `--config`; without it, `autorag.toml` of the current directory is read if there is
    /// one, else the one under the XDG configuration directory. `environment` is all of the process's variables.
    ///
    /// # Errors
    /// [`ConfigError`], naming the setting.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: Vec<Override>,
    ) -> Result<Settings, ConfigError> {
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let mut table = match settings_file(file, &environment) {
            Some(path) => read_file(&path)?,
            None => Table::new(),
        };
        let key_variables = key_variables(&table, &environment);
        for (name, text) in &environment {
            if key_variables.contains(name) {
                continue;
            }
            if let Some((setting, value)) = from_variable(name, text)? {
                let checked = Settings::try_from_single(setting, value.clone());
                checked.map_err(|message| ConfigError::Malformed {
                    origin: name.clone(),
                    message,
                })?;
                lay(&mut table, setting, value);
            }
        }
        for (setting, value) in flags {
            lay(&mut table, setting, value);
        }
        let mut settings: Settings = Value::Table(table)
            .try_into()
            .map_err(|error| malformed("settings", &error))?;
        settings.model.take_key(|name| {
            let found = environment.iter().find(|(variable, _)| variable == name);
            found.map(|(_, value)| value.clone())
        })?;
        settings.validate()?;
        Ok(settings)
    }

    /// Whether one value alone is of the right type.
    fn try_from_single(setting: &str, value: Value) -> Result<(), String> {
        let mut table = Table::new();
        lay(&mut table, setting, value);
        Value::Table(table)
            .try_into::<Settings>()
            .map(drop)
            .map_err(|error| one_line(&error))
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |setting, message: String| Err(ConfigError::Invalid { setting, message });
        if !self.server.addr.ip().is_loopback() {
            return invalid(
                "server.addr",
                format!(
                    "{} is not a loopback address; there is no authentication yet, so only 127.0.0.1 and [::1] are \
                     served (put a proxy that authenticates in front)",
                    self.server.addr
                ),
            );
        }
        if self.server.max_concurrent == 0 {
            return invalid("server.max_concurrent", "must be at least 1".into());
        }
        if self.server.timeout_ms < 100 {
            return invalid(
                "server.timeout_ms",
                format!("{} is less than 100", self.server.timeout_ms),
            );
        }
        if self.server.max_body_bytes < 1024 {
            return invalid(
                "server.max_body_bytes",
                format!("{} is less than 1024", self.server.max_body_bytes),
            );
        }
        // What a model in a folder reads is known when it is opened; longer passages are cut to it then.
        let (most, whose) = match self.model.source(None)? {
            ModelSource::BuiltIn => (220, "what the built-in model reads whole"),
            ModelSource::Remote(options) => (options.max_tokens - MARKERS, "what model.max_tokens leaves"),
            _ => (8192, "what any model reads"),
        };
        if !(64..=most).contains(&self.index.chunk_tokens) {
            return invalid(
                "index.chunk_tokens",
                format!("{} is outside 64 to {most}, {whose}", self.index.chunk_tokens),
            );
        }
        if self.index.chunk_overlap_percent > 30 {
            return invalid(
                "index.chunk_overlap_percent",
                format!("{} is over 30", self.index.chunk_overlap_percent),
            );
        }
        if self.index.max_file_size == 0 {
            return invalid("index.max_file_size", "must be at least 1 byte".into());
        }
        if !(0.0..=1.0).contains(&self.search.score_threshold) {
            return invalid(
                "search.score_threshold",
                format!("{} is outside 0 (any hit) to 1", self.search.score_threshold),
            );
        }
        self.rerank.api()?;
        if !(1..=200).contains(&self.rerank.candidates) {
            return invalid(
                "rerank.candidates",
                format!("{} is outside 1 to 200", self.rerank.candidates),
            );
        }
        let longest = MAX_RERANK_BUDGET.as_millis();
        if self.rerank.budget_ms == 0 || u128::from(self.rerank.budget_ms) > longest {
            return invalid(
                "rerank.budget_ms",
                format!("{} is outside 1 to {longest}", self.rerank.budget_ms),
            );
        }
        if self.index.reconcile_secs > LONGEST_RECONCILE {
            return invalid(
                "index.reconcile_secs",
                format!(
                    "{} is over {LONGEST_RECONCILE}, a week; 0 turns it off",
                    self.index.reconcile_secs
                ),
            );
        }
        if self.index.retry_secs > LONGEST_RECONCILE {
            return invalid(
                "index.retry_secs",
                format!(
                    "{} is over {LONGEST_RECONCILE}, a week; 0 turns it off",
                    self.index.retry_secs
                ),
            );
        }
        Ok(())
    }

    /// What the indexer needs of them.
    pub fn index_options(&self) -> IndexOptions {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        IndexOptions {
            include: self.index.include.clone(),
            exclude: self.index.exclude.clone(),
            hidden: self.index.hidden,
            respect_ignore: self.index.respect_ignore,
            follow_links: self.index.follow_links,
            max_file_size: self.index.max_file_size,
            chunk_tokens: self.index.chunk_tokens,
            chunk_overlap_percent: self.index.chunk_overlap_percent,
            threads: if self.index.threads == 0 {
                cores
            } else {
                self.index.threads
            },
            retry_after: self.index.retry_after(),
            parser: None,
        }
    }
}

fn settings_file(named: Option<&Path>, environment: &[(String, String)]) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let variable = |name: &str| {
        environment
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
    };
    let here = PathBuf::from(FILE_NAME);
    if here.is_file() {
        return Some(here);
    }
    let base = variable("XDG_CONFIG_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))?;
    Some(base.join("autorag").join(FILE_NAME)).filter(|path| path.is_file())
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = fs_err::read_to_string(path)?;
    let origin = path.display().to_string();
    let table: Table = text.parse().map_err(|error| malformed(&origin, &error))?;
    // Typed here as well, so that a wrong name or type is reported with the file and the line.
    toml::from_str::<Settings>(&text).map_err(|error| malformed(&origin, &error))?;
    Ok(table)
}

/// Names of variables that may hold a key, which is no setting: its value is looked at only to be sent.
fn key_variables(table: &Table, environment: &[(String, String)]) -> [String; 2] {
    let in_file = || table.get("model")?.get("key_env")?.as_str().map(str::to_owned);
    let in_environment = environment
        .iter()
        .find(|(name, _)| name == "AUTORAG_MODEL_KEY_ENV");
    let named = in_environment.map(|(_, value)| value.clone()).or_else(in_file);
    let usual = model::KEY_VARIABLE.to_owned();
    [named.unwrap_or_else(|| usual.clone()), usual]
}

/// The setting that a variable names, if it is one of ours.
fn from_variable(name: &str, text: &str) -> Result<Option<(&'static str, Value)>, ConfigError> {
    if !name.starts_with(ENV_PREFIX) {
        return Ok(None);
    }
    let named = |setting: &str| format!("{ENV_PREFIX}{}", setting.replace('.', "_").to_uppercase()) == name;
    let Some(&(setting, kind)) = SETTINGS.iter().find(|(setting, _)| named(setting)) else {
        let message = "is not a setting; `autorag help` lists them".to_owned();
        return Err(ConfigError::Malformed {
            origin: name.to_owned(),
            message,
        });
    };
    let wrong = |expected: &str| ConfigError::Malformed {
        origin: name.to_owned(),
        message: format!("{text:?} is not {expected}"),
    };
    let value = match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => Value::Integer(text.trim().parse().map_err(|_| wrong("a whole number"))?),
        Kind::Decimal => Value::Float(text.trim().parse().map_err(|_| wrong("a number"))?),
        Kind::Switch => match text.trim() {
            "true" | "1" => Value::Boolean(true),
            "false" | "0" => Value::Boolean(false),
            _ => return Err(wrong("true or false")),
        },
        Kind::List => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|s| !s.is_empty())
                .map(|s| Value::String(s.into()))
                .collect(),
        ),
    };
    Ok(Some((setting, value)))
}

/// Puts `value` at the dotted name `setting`.
fn lay(table: &mut Table, setting: &str, value: Value) {
    match setting.split_once('.') {
        None => {
            table.insert(setting.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                lay(inner, rest, value);
            }
        }
    }
}

fn malformed(origin: &str, error: &toml::de::Error) -> ConfigError {
    ConfigError::Malformed {
        origin: origin.to_owned(),
        message: one_line(error),
    }
}

fn one_line(error: &toml::de::Error) -> String {
    error.to_string().trim().to_owned()
}
