//! Every setting, declared once: type, default, allowed values, who may set it, and what a change costs.
//!
//! The table generates the section structs, their defaults and checks, and [`SETTINGS`]. Environment variables and
//! `autorag config` follow [`SETTINGS`], and tests compare the handbook with it. The form of a row is:
//! `name: type = default, "allowed values", scope, trust, cost [, unset "…"] [, flag "--flag"] [, check function] [, serde(…)];`

use std::net::SocketAddr;
use std::path::PathBuf;

use autorag_indexer::{IndexOptions, MAX_CHUNK_OVERLAP_PERCENT};
use autorag_query::{MAX_RERANK_BUDGET, RerankApi};
use autorag_store::VectorIndex;
use serde::{Deserialize, Deserializer, Serialize};

use super::ConfigError;
use super::setting::{Cost, Scope, Setting, SettingType, Trust, at_least, loopback, within};

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        [$section:ident] $Section:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr, $values:literal, $scope:ident, $trust:ident, $cost:ident
                $(, unset $unset:literal)? $(, flag $flag:literal)? $(, check $check:expr)? $(, serde($($serde:tt)+))?;
            )*
        }
    )*) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields, default)]
            pub struct $Section {
                $(
                    $(#[doc = $doc])+
                    $(#[serde($($serde)+)])?
                    pub $field: $type,
                )*
            }

            impl Default for $Section {
                fn default() -> Self {
                    $Section { $($field: $default,)* }
                }
            }

            impl $Section {
                fn check(&self) -> Result<(), ConfigError> {
                    $($(
                        let check = $check;
                        check(&self.$field).map_err(|message| ConfigError::Invalid {
                            setting: concat!(stringify!($section), ".", stringify!($field)),
                            message,
                        })?;
                    )?)*
                    Ok(())
                }
            }
        )*

        /// All settings.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Settings {
            #[doc = "Folder that holds the indexes, one subfolder for each."]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub data_dir: Option<PathBuf>,
            $(
                $(#[doc = $section_doc])+
                pub $section: $Section,
            )*
        }

        impl Settings {
            /// Checks each value alone. [`super::load`] checks values that depend on one another.
            pub(super) fn check_each(&self) -> Result<(), ConfigError> {
                $(self.$section.check()?;)*
                Ok(())
            }
        }

        /// Every setting, in the order of the handbook.
        pub static SETTINGS: &[Setting] = &[
            Setting {
                name: "data_dir",
                form: <Option<PathBuf> as SettingType>::FORM,
                values: "a path",
                unset: Some("~/.local/share/autorag"),
                summary: "Folder that holds the indexes, one subfolder for each.",
                flag: Some("--data-dir"),
                scope: Scope::Process,
                trust: Trust::Operator,
                cost: Cost::Free,
            },
            $($(
                Setting {
                    name: concat!(stringify!($section), ".", stringify!($field)),
                    form: <$type as SettingType>::FORM,
                    values: $values,
                    summary: concat!($($doc),+),
                    unset: optional!($($unset)?),
                    flag: optional!($($flag)?),
                    scope: Scope::$scope,
                    trust: Trust::$trust,
                    cost: Cost::$cost,
                },
            )*)*
        ];
    };
}

/// Maximum interval between two walks or retries: a week, in seconds.
const WEEK: u64 = 7 * 24 * 60 * 60;

settings! {
    /// The HTTP server.
    [server] ServerSettings {
        /// Address that `serve` listens on.
        addr: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7878)), "loopback address and port",
            Process, Operator, Free, flag "--addr", check loopback;
        /// Largest request body, in bytes.
        max_body_bytes: usize = 1 << 20, "1024 or more", Process, Operator, Free, check at_least(1024);
        /// Requests processed at once; further ones get status 503.
        max_concurrent: usize = 64, "1 or more", Process, Operator, Free, check at_least(1);
        /// Time limit of a request, in milliseconds.
        timeout_ms: u64 = 30_000, "100 or more", Process, Operator, Free, check at_least(100);
    }

    /// Which files are read, and how they are chunked.
    [index] IndexSettings {
        /// Index only files that match one of these globs; empty means all.
        include: Vec<String> = Vec::new(), "globs", Instance, Folder, Free, flag "--include";
        /// Skip files that match one of these globs, even if `index.include` matches them.
        exclude: Vec<String> = Vec::new(), "globs", Instance, Folder, Free, flag "--exclude";
        /// Index hidden files too.
        hidden: bool = false, "`true`, `false`", Instance, Folder, Free, flag "--hidden";
        /// Honour `.gitignore`, `.ignore` and `.autoragignore`.
        respect_ignore: bool = true, "`true`, `false`", Instance, Folder, Free, flag "--no-ignore";
        /// Follow symbolic links.
        follow_links: bool = false, "`true`, `false`", Instance, Operator, Free;
        /// Largest file to index, in bytes.
        max_file_size: u64 = IndexOptions::default().max_file_size, "1 or more", Instance, Operator, Rechunk,
            flag "--max-file-size", check at_least(1);
        /// Maximum tokens of a passage.
        chunk_tokens: usize = IndexOptions::default().chunk_tokens, "64 to 220; more with other models", Instance, Folder, Rechunk;
        /// Share of a passage that the next one repeats, in percent.
        chunk_overlap_percent: u8 = IndexOptions::default().chunk_overlap_percent, "0 to 30", Instance, Folder, Rechunk,
            check within(0..=MAX_CHUNK_OVERLAP_PERCENT, "");
        /// Threads that parse and embed; 0 means one per core.
        threads: usize = 0, "0 or more", Process, Operator, Free;
        /// How `serve` and `mcp` notice changed files.
        watch: Watch = Watch::Auto, "`auto`, `poll`, `off`", Instance, Operator, Free;
        /// Seconds between full walks that find what watching missed; 0 disables them.
        reconcile_secs: u64 = 300, "0 to 604800", Instance, Operator, Free, check within(0..=WEEK, ", a week; 0 disables it");
        /// Seconds before an unreadable file is retried; later waits are 5, 30 and 120 times as long; 0 disables retries.
        retry_secs: u64 = 60, "0 to 604800", Instance, Operator, Free, check within(0..=WEEK, ", a week; 0 disables it");
    }

    /// Defaults for searches.
    [search] SearchSettings {
        /// Minimum score of a hit if the search names none; 0 keeps every hit.
        score_threshold: f32 = 0.0, "0 to 1", Instance, Folder, Free, flag "--score-threshold", check within(0.0..=1.0, "");
    }

    /// The reranker, for searches that ask for one.
    [rerank] RerankSettings {
        /// URL of the reranking server.
        url: Option<String> = None, "URL", Instance, Operator, Free,
            serde(deserialize_with = "blank_as_none", skip_serializing_if = "Option::is_none");
        /// Protocol of the reranking server.
        api: RerankApi = RerankApi::default(), "`tei`, `cohere`", Instance, Operator, Free;
        /// Model name to send to the server, or a model to run in this process: `fastembed:NAME`, `fastembed:FOLDER`.
        model: Option<String> = None, "a name, or `fastembed:NAME`", Instance, Operator, Free,
            serde(deserialize_with = "blank_as_none", skip_serializing_if = "Option::is_none");
        /// Environment variable that holds the server's key.
        key_env: String = "RERANK_API_KEY".to_owned(), "a variable name", Instance, Operator, Free;
        /// How many of the best candidates to rerank.
        candidates: usize = 30, "1 to 200", Instance, Operator, Free, check within(1..=200, "");
        /// Time budget for reranking, in milliseconds.
        budget_ms: u64 = 500, "1 to 20000", Instance, Operator, Free,
            check within(1..=u64::try_from(MAX_RERANK_BUDGET.as_millis()).unwrap_or(u64::MAX), "");
    }

    /// The embedding model. `autorag model use` stores these settings with an index.
    [model] ModelSettings {
        /// Who computes embeddings: an OpenAI-compatible server or ONNX Runtime; unset means autorag's own encoder.
        provider: Option<Provider> = None, "`openai`, `fastembed`", Instance, Operator, Reembed, serde(skip_serializing_if = "Option::is_none");
        /// Model name: `all-MiniLM-L6-v2` (built in), `hub:OWNER/NAME[@REVISION]`, `fastembed:NAME`, or the server's name for it.
        name: Option<String> = None, "the built-in name, `hub:OWNER/NAME`, `fastembed:NAME`, or a name on the server", Instance, Operator, Reembed, unset "all-MiniLM-L6-v2", serde(skip_serializing_if = "Option::is_none");
        /// Folder that holds a model; excludes `model.name`.
        path: Option<PathBuf> = None, "a folder", Instance, Operator, Reembed, serde(skip_serializing_if = "Option::is_none");
        /// Base URL of the embedding server; `/embeddings` is appended.
        base_url: Option<String> = None, "http or https URL", Instance, Operator, Reembed, serde(skip_serializing_if = "Option::is_none");
        /// Dimensions to request from the server; unset means the model's own.
        dimensions: Option<usize> = None, "1 or more", Instance, Operator, Reembed, serde(skip_serializing_if = "Option::is_none");
        /// Text to prepend to each query; unset means the model's own.
        query_prefix: Option<String> = None, "text", Instance, Operator, Reembed, serde(skip_serializing_if = "Option::is_none");
        /// Text to prepend to each passage; unset means the model's own.
        passage_prefix: Option<String> = None, "text", Instance, Operator, Reembed, serde(skip_serializing_if = "Option::is_none");
        /// Longest input of the model, in tokens; unset means the model's own.
        max_tokens: Option<usize> = None, "tokens; 66 or more for a remote model", Instance, Operator, Reembed, serde(skip_serializing_if = "Option::is_none");
        /// Maximum tokens in a request to the server.
        batch_tokens: Option<usize> = None, "1 or more", Instance, Operator, Free, unset "8192", serde(skip_serializing_if = "Option::is_none");
        /// Maximum texts in a request to the server.
        batch_texts: Option<usize> = None, "1 to 2048", Instance, Operator, Free, unset "64", serde(skip_serializing_if = "Option::is_none");
        /// Maximum concurrent requests to the server for passages.
        concurrency: Option<usize> = None, "1 or more", Instance, Operator, Free, unset "4", serde(skip_serializing_if = "Option::is_none");
        /// Timeout of a request for passages, in seconds.
        timeout_secs: Option<u64> = None, "1 to 3600", Instance, Operator, Free, unset "60", serde(skip_serializing_if = "Option::is_none");
        /// Timeout of a request for a query's embedding, in milliseconds.
        query_timeout_ms: Option<u64> = None, "1 to 3600000", Instance, Operator, Free, unset "3000", serde(skip_serializing_if = "Option::is_none");
        /// Environment variable that holds the server's key; unset means `AUTORAG_EMBEDDING_KEY`.
        key_env: Option<String> = None, "a variable name", Instance, Operator, Free, unset "AUTORAG_EMBEDDING_KEY", serde(skip_serializing_if = "Option::is_none");
    }

    /// Vector search.
    [vectors] VectorSettings {
        /// How nearest vectors are found: `flat` scans all, `graph` walks a graph, `auto` uses a graph from two million vectors on.
        index: VectorIndex = VectorIndex::Auto, "`auto`, `flat`, `graph`", Instance, Operator, Free;
    }

    /// Logging.
    [log] LogSettings {
        /// Log level, or a filter such as `autorag_store=debug,info`.
        level: String = "info".to_owned(), "`off`, `error`, `warn`, `info`, `debug`, `trace`, or a filter", Process, Operator, Free,
            flag "--verbose";
        /// Format of log lines.
        format: LogFormat = LogFormat::Text, "`text`, `json`", Process, Operator, Free;
    }
}

/// Who computes embeddings, if not autorag's own encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// A server with OpenAI's `POST /embeddings`.
    #[serde(rename = "openai")]
    OpenAi,
    /// ONNX Runtime in this process, with the model in `model.path`.
    Fastembed,
}

/// How a long-running process notices changed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// By file-system events, or by polling where the system offers none.
    Auto,
    /// By walking the folders every few seconds.
    Poll,
    /// Never: folders are read once, at start.
    Off,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Reads an empty text as `None`. An empty environment variable thus unsets a value of the file.
fn blank_as_none<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    Ok(text.filter(|text| !text.is_empty()))
}
