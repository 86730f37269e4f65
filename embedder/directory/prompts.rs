//! What a model was trained to see before questions and passages: from its files, or from a table of models whose files do not
//! say.

use std::collections::HashMap;

use serde::Deserialize;

use super::files::Files;
use crate::error::EmbedError;

/// The two prefixes; often nothing.
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

/// How a name begins and ends, and the prefixes of such models, as their authors document them.
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
pub(super) fn of(files: &Files, name: &str) -> Result<Prompts, EmbedError> {
    let said: Option<SentenceTransformers> = files.json("config_sentence_transformers.json")?;
    let said = said.map(|said| said.prompts).unwrap_or_default();
    let prompt = |names: &[&str]| {
        let found = names.iter().find_map(|name| said.get(*name).cloned().flatten());
        found.filter(|prompt| !prompt.is_empty())
    };
    let (query, passage) = (prompt(&["query"]), prompt(&["passage", "document", "corpus"]));
    if query.is_some() || passage.is_some() {
        return Ok(Prompts {
            query: query.unwrap_or_default(),
            passage: passage.unwrap_or_default(),
        });
    }
    // Files that name prompts without filling them in come from a newer version of the library, not from the authors.
    Ok(known(name))
}

fn known(name: &str) -> Prompts {
    let name = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let found = KNOWN.iter().find(|(begin, end, ..)| {
        name.starts_with(begin) && name.ends_with(end) && !name.ends_with("-instruct")
    });
    found.map_or_else(Prompts::default, |(_, _, query, passage)| Prompts {
        query: (*query).to_owned(),
        passage: (*passage).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_their_names() {
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
            let prompts = known(name);
            assert_eq!(
                (prompts.query.as_str(), prompts.passage.as_str()),
                (query, passage),
                "{name}"
            );
        }
    }
}
