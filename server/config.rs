//! Settings: defaults, then `autorag.toml`, then `AUTORAG_*` variables, then flags. Errors name the setting and its origin.
//!
//! Each layer is a TOML table that is merged over the previous one, so a setting has one name, one type and one check
//! whichever layer it comes from. [`SETTINGS`] lists them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autorag_embedder::ModelSource;
use autorag_indexer::{IndexOptions, WatchMode, WatchOptions};
use toml::{Table, Value};

mod environment;
mod model;
mod rerank;
mod setting;
mod table;
#[cfg(test)]
mod tests;

pub use environment::Environment;
pub use model::{FASTEMBED, HUB, hub_cache};
pub use setting::Setting;
pub use table::{
    IndexSettings, LogFormat, LogSettings, ModelSettings, Provider, RerankSettings, SETTINGS, SearchSettings,
    ServerSettings, Settings, Watch,
};

/// Name of the settings file in the current directory and under the XDG configuration directory.
const FILE_NAME: &str = "autorag.toml";
/// Tokens that mark the start and end of a text for most models.
const MARKER_TOKENS: usize = 2;
/// Minimum of `index.chunk_tokens`.
const MIN_CHUNK_TOKENS: usize = 64;
/// Waits before the attempts at an unreadable file, as multiples of `index.retry_secs`.
const RETRY_FACTORS: [u64; 4] = [1, 5, 30, 120];
/// Maximum edit distance between an unknown variable and the suggested one.
const MAX_EDITS: usize = 3;

/// A settings file, variable or flag that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error("cannot read the settings file")]
    Read(#[from] std::io::Error),
    /// The file is not TOML, or a layer has a setting of an unknown name or the wrong type.
    #[error("{origin}: {message}")]
    Malformed {
        /// File, variable or flag.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A value outside its range.
    #[error("{setting}: {message}")]
    Invalid {
        /// Name of the setting, such as `server.addr`.
        setting: &'static str,
        /// What is wrong, and what is allowed.
        message: String,
    },
}

/// A setting given on the command line: its name and value.
pub type Override = (&'static str, Value);

/// Settings, with what the user should know about them.
#[derive(Debug)]
pub struct Loaded {
    /// The merged, checked settings.
    pub settings: Settings,
    /// Harmless mistakes, to be logged once logging runs.
    pub warnings: Vec<String>,
    /// Settings that some layer sets, as merged.
    table: Table,
    /// The layer that set each of them: the file's path, a variable's name, or `flag`.
    origins: HashMap<&'static str, String>,
}

impl Loaded {
    /// Value of the setting `name`; `None` if it is unset.
    pub fn value(&self, name: &str) -> Option<Value> {
        let table = Table::try_from(&self.settings).ok()?;
        get(&table, name).cloned()
    }

    /// The layer that the value of the setting `name` comes from.
    pub fn origin(&self, name: &str) -> &str {
        let is_set = get(&self.table, name).is_some();
        let origin = self.origins.get(name).filter(|_| is_set);
        origin.map_or("default", String::as_str)
    }
}

/// Merges file, variables and flags over the defaults and checks the result.
///
/// `file` is the one named with `--config`. Without it, `autorag.toml` of the current directory is read if there is one, else
/// the one under the XDG configuration directory.
///
/// # Errors
/// [`ConfigError`], naming the setting.
pub fn load(
    file: Option<&Path>,
    environment: &Environment,
    flags: Vec<Override>,
) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let mut origins = HashMap::new();
    let mut table = Table::new();
    if let Some(path) = settings_file(file, environment) {
        table = read_file(&path)?;
        let in_file = SETTINGS
            .iter()
            .filter(|setting| get(&table, setting.name).is_some());
        origins.extend(in_file.map(|setting| (setting.name, path.display().to_string())));
    }
    let key_variables = key_variables(&table, environment);
    for (name, text) in environment.iter() {
        if !name.starts_with(setting::ENV_PREFIX) || key_variables.iter().any(|key| key == name) {
            continue;
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) else {
            warnings.push(unknown_variable(name));
            continue;
        };
        let value = setting.parse(text).and_then(|value| {
            check_type(setting.name, value.clone())?;
            Ok(value)
        });
        let value = value.map_err(|message| ConfigError::Malformed {
            origin: name.to_owned(),
            message,
        })?;
        set(&mut table, setting.name, value);
        origins.insert(setting.name, name.to_owned());
    }
    for (name, value) in flags {
        set(&mut table, name, value);
        origins.insert(name, "flag".to_owned());
    }
    if get(&table, "vectors.index").and_then(Value::as_str) == Some("hnsw") {
        warnings.push("vectors.index: \"hnsw\" is called \"graph\" now; please change it".to_owned());
    }
    let settings: Settings = Value::Table(table.clone())
        .try_into()
        .map_err(|error| malformed("settings", &error))?;
    settings.check_each()?;
    settings.check_together(environment)?;
    Ok(Loaded {
        settings,
        warnings,
        table,
        origins,
    })
}

impl Settings {
    /// Checks values that depend on one another.
    fn check_together(&self, environment: &Environment) -> Result<(), ConfigError> {
        // The limit of a model in a folder is known once it is opened; longer passages are shortened then.
        let (max, reason) = match self.model.source(None, environment)? {
            ModelSource::BuiltIn => (220, "the most that fits the built-in model's input"),
            ModelSource::Remote(options) => (
                options.max_tokens.saturating_sub(MARKER_TOKENS),
                "model.max_tokens less two",
            ),
            _ => (8192, "the most that any supported model reads"),
        };
        if !(MIN_CHUNK_TOKENS..=max).contains(&self.index.chunk_tokens) {
            return Err(ConfigError::Invalid {
                setting: "index.chunk_tokens",
                message: format!(
                    "{} is not between {MIN_CHUNK_TOKENS} and {max}, {reason}",
                    self.index.chunk_tokens
                ),
            });
        }
        Ok(())
    }

    /// Options for the indexer.
    pub fn index_options(&self) -> IndexOptions {
        let index = &self.index;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        IndexOptions {
            include: index.include.clone(),
            exclude: index.exclude.clone(),
            hidden: index.hidden,
            respect_ignore: index.respect_ignore,
            follow_links: index.follow_links,
            max_file_size: index.max_file_size,
            chunk_tokens: index.chunk_tokens,
            chunk_overlap_percent: index.chunk_overlap_percent,
            threads: if index.threads == 0 { cores } else { index.threads },
            retry_after: index.retry_after(),
            parser: None,
        }
    }
}

impl ServerSettings {
    /// Time limit of a request.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl IndexSettings {
    /// The wait before each attempt at an unreadable file; empty if retries are off.
    pub fn retry_after(&self) -> Vec<Duration> {
        if self.retry_secs == 0 {
            return Vec::new();
        }
        RETRY_FACTORS
            .iter()
            .map(|factor| Duration::from_secs(self.retry_secs * factor))
            .collect()
    }

    /// How the folders are watched; `None` if they are not.
    pub fn watch_options(&self) -> Option<WatchOptions> {
        let mode = match self.watch {
            Watch::Auto => WatchMode::Auto,
            Watch::Poll => WatchMode::Poll,
            Watch::Off => return None,
        };
        Some(WatchOptions {
            mode,
            reconcile: (self.reconcile_secs > 0).then(|| Duration::from_secs(self.reconcile_secs)),
        })
    }
}

fn settings_file(named: Option<&Path>, environment: &Environment) -> Option<PathBuf> {
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let here = PathBuf::from(FILE_NAME);
    if here.is_file() {
        return Some(here);
    }
    let base = environment
        .get("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment.get("HOME")?).join(".config")))?;
    Some(base.join("autorag").join(FILE_NAME)).filter(|path| path.is_file())
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = fs_err::read_to_string(path)?;
    let origin = path.display().to_string();
    let table: Table = text.parse().map_err(|error| malformed(&origin, &error))?;
    // Deserialize the text as well as the table: only errors in text give the line.
    toml::from_str::<Settings>(&text).map_err(|error| malformed(&origin, &error))?;
    Ok(table)
}

/// Names of variables that may hold the embedding server's key. Their names look like settings but are not.
fn key_variables(table: &Table, environment: &Environment) -> [String; 2] {
    let default = model::KEY_VARIABLE.to_owned();
    let in_file = || get(table, "model.key_env")?.as_str();
    let named = environment.get("AUTORAG_MODEL_KEY_ENV").or_else(in_file);
    [named.map_or_else(|| default.clone(), str::to_owned), default]
}

/// The warning about a variable that has our prefix but is not a setting. Not an error, because container platforms set such
/// variables for a service named autorag.
fn unknown_variable(name: &str) -> String {
    let known = SETTINGS.iter().map(Setting::variable);
    let closest = known
        .map(|variable| (distance(name, &variable), variable))
        .min()
        .filter(|(distance, _)| *distance <= MAX_EDITS);
    // The most common mistake leaves out the section, as in AUTORAG_CHUNK_TOKENS.
    let tail = name.strip_prefix(setting::ENV_PREFIX).unwrap_or(name);
    let suffixed = SETTINGS
        .iter()
        .map(Setting::variable)
        .find(|variable| variable.ends_with(&format!("_{tail}")));
    match suffixed.or(closest.map(|(_, variable)| variable)) {
        Some(variable) => format!("{name} is not a setting and is ignored; did you mean {variable}?"),
        None => format!("{name} is not a setting and is ignored"),
    }
}

/// Levenshtein distance of two names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Checks that a value has its setting's type.
fn check_type(name: &str, value: Value) -> Result<(), String> {
    let mut table = Table::new();
    set(&mut table, name, value);
    let parsed = Value::Table(table).try_into::<Settings>();
    parsed.map(drop).map_err(|error| one_line(&error))
}

/// The value at the dotted name `name`.
fn get<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    match name.split_once('.') {
        None => table.get(name),
        Some((section, key)) => get(table.get(section)?.as_table()?, key),
    }
}

/// Puts `value` at the dotted name `name`.
fn set(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((section, key)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, key, value);
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
