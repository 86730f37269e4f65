//! The texts that a model expects before queries and passages. They come from its files, or from a table of well-known models whose
//! files lack them.

use std::collections::HashMap;

use serde::Deserialize;

use super::files::Files;
use crate::error::EmbedError;

/// The prefixes of queries and passages; often empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prompts {
    pub(super) query: String,
    pub(super) passage: String,
}

/// `config_sentence_transformers.json`
#[derive(Deserialize)]
struct SentenceTransformers {
    #[serde(default)]
    prompts: HashMap<String, Option<String>>,
}

/// Start of the name, end of the name, query prefix and passage prefix, as the models' authors document them.
const KNOWN: &[(&str, &str, &str, &str)] = &[
    ("e5-", "", "query: ", "passage: "),
    ("multilingual-e5-", "", "query: ", "passage: "),
    (
        "bge-",
        "-en",
        "Represent this sentence for searching relevant passages: ",
        "",
    ),
    (
        "bge-",
        "-en-v1.5",
        "Represent this sentence for searching relevant passages: ",
        "",
    ),
    ("bge-", "-zh", "为这个句子生成表示以用于检索相关文章：", ""),
    ("bge-", "-zh-v1.5", "为这个句子生成表示以用于检索相关文章：", ""),
    ("snowflake-arctic-embed-", "-v2.0", "query: ", ""),
    (
        "snowflake-arctic-embed-",
        "",
        "Represent this sentence for searching relevant passages: ",
        "",
    ),
    (
        "mxbai-embed-",
        "",
        "Represent this sentence for searching relevant passages: ",
        "",
    ),
    ("nomic-embed-text-", "", "search_query: ", "search_document: "),
    ("modernbert-embed-", "", "search_query: ", "search_document: "),
    (
        "embeddinggemma-",
        "",
        "task: search result | query: ",
        "title: none | text: ",
    ),
];

/// The prefixes of the model called `name`.
pub(super) fn read(files: &Files, name: &str) -> Result<Prompts, EmbedError> {
    let config: Option<SentenceTransformers> = files.json("config_sentence_transformers.json")?;
    let prompts = config.map(|config| config.prompts).unwrap_or_default();
    let prompt = |names: &[&str]| {
        let first = names
            .iter()
            .find_map(|name| prompts.get(*name).cloned().flatten());
        first.filter(|prompt| !prompt.is_empty())
    };
    let (query, passage) = (prompt(&["query"]), prompt(&["passage", "document", "corpus"]));
    if query.is_some() || passage.is_some() {
        return Ok(Prompts {
            query: query.unwrap_or_default(),
            passage: passage.unwrap_or_default(),
        });
    }
    // Newer versions of sentence-transformers write empty prompts into every file, so these do not mean "no prefix".
    Ok(known_prompts(name))
}

fn known_prompts(name: &str) -> Prompts {
    let name = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let entry = KNOWN.iter().find(|(start, end, ..)| {
        name.starts_with(start) && name.ends_with(end) && !name.ends_with("-instruct")
    });
    entry.map_or_else(Prompts::default, |(_, _, query, passage)| Prompts {
        query: (*query).to_owned(),
        passage: (*passage).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_models_get_their_prefixes_by_name() {
        for (name, query, passage) in [
            ("intfloat/multilingual-e5-small", "query: ", "passage: "),
            ("E5-small-v2", "query: ", "passage: "),
            ("intfloat/multilingual-e5-large-instruct", "", ""),
            (
                "BAAI/bge-small-en-v1.5",
                "Represent this sentence for searching relevant passages: ",
                "",
            ),
            ("BAAI/bge-m3", "", ""),
            (
                "snowflake-arctic-embed-xs",
                "Represent this sentence for searching relevant passages: ",
                "",
            ),
            ("Snowflake/snowflake-arctic-embed-m-v2.0", "query: ", ""),
            ("thenlper/gte-small", "", ""),
            ("all-MiniLM-L12-v2", "", ""),
        ] {
            let prompts = known_prompts(name);
            assert_eq!(
                (prompts.query.as_str(), prompts.passage.as_str()),
                (query, passage),
                "{name}"
            );
        }
    }
}
