//! Collections in the layout of BEIR (Thakur et al., 2021, <https://arxiv.org/abs/2104.08663>), and questions about a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::QueryError;

/// Grades of the documents that were judged, by question and document. Above 0 is relevant.
pub type Judgments = HashMap<String, HashMap<String, u32>>;

/// A document of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CollectionDocument {
    /// Its name in the judgments.
    #[serde(alias = "_id")]
    pub id: String,
    /// Its title; often empty.
    #[serde(default)]
    pub title: String,
    /// Its text.
    pub text: String,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// Its name in the judgments.
    #[serde(alias = "_id")]
    pub id: String,
    /// The question.
    pub text: String,
}

/// Questions with judgments, and the documents where they are part of the collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// Documents; empty where the questions are about a folder.
    pub documents: Vec<CollectionDocument>,
    /// Questions that have a relevant document. The others would only dilute the means.
    pub questions: Vec<Question>,
    /// What is relevant to what.
    pub judgments: Judgments,
}

impl Collection {
    /// Reads `corpus.jsonl`, `queries.jsonl` and `qrels.tsv` (or `qrels/test.tsv`) of a folder.
    ///
    /// # Errors
    /// [`QueryError::Collection`] naming the file and line that cannot be read.
    pub fn read(folder: &Path) -> Result<Collection, QueryError> {
        let qrels = [folder.join("qrels.tsv"), folder.join("qrels/test.tsv")];
        let qrels = qrels.iter().find(|path| path.is_file()).unwrap_or(&qrels[0]);
        let questions = json_lines(&folder.join("queries.jsonl"))?;
        let documents = json_lines(&folder.join("corpus.jsonl"))?;
        Ok(Collection {
            documents,
            ..Collection::of(questions, judgments(qrels)?)
        })
    }

    /// Reads questions (id, tab, text) and judgments (question, tab, document, tab, grade) about the documents of a folder.
    /// Both may have a line of column names.
    ///
    /// # Errors
    /// [`QueryError::Collection`] naming the file and line that cannot be read.
    pub fn about_folder(questions: &Path, qrels: &Path) -> Result<Collection, QueryError> {
        let rows = rows(questions)?
            .into_iter()
            .filter(|row| row.number > 1 || row.cells[0] != "id");
        let parsed = rows.map(|row| match row.cells.as_slice() {
            [id, text] => Ok(Question {
                id: id.clone(),
                text: text.clone(),
            }),
            _ => Err(broken(
                questions,
                row.number,
                "is not a question's id, a tab and its text",
            )),
        });
        Ok(Collection::of(
            parsed.collect::<Result<_, _>>()?,
            judgments(qrels)?,
        ))
    }

    fn of(mut questions: Vec<Question>, judgments: Judgments) -> Collection {
        questions.retain(|question| {
            let judged = judgments.get(&question.id);
            judged.is_some_and(|judged| judged.values().any(|grade| *grade > 0))
        });
        Collection {
            documents: Vec::new(),
            questions,
            judgments,
        }
    }
}

fn json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, QueryError> {
    let text = read(path)?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| broken(path, index + 1, &error.to_string()))
        })
        .collect()
}

/// A line of a table.
struct Row {
    number: usize,
    cells: Vec<String>,
}

fn rows(path: &Path) -> Result<Vec<Row>, QueryError> {
    let text = read(path)?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let row = |(index, line): (usize, &str)| Row {
        number: index + 1,
        cells: line.split('\t').map(|cell| cell.trim().to_owned()).collect(),
    };
    Ok(lines.map(row).collect())
}

fn judgments(path: &Path) -> Result<Judgments, QueryError> {
    let mut judgments = Judgments::new();
    for row in rows(path)? {
        // TREC's own form has a second column that says nothing.
        let (question, document, grade) = match row.cells.as_slice() {
            [question, document, grade] | [question, _, document, grade] => (question, document, grade),
            _ => {
                return Err(broken(
                    path,
                    row.number,
                    "is not question, document and grade between tabs",
                ));
            }
        };
        match grade.parse::<f32>() {
            Ok(grade) => {
                let of_question = judgments.entry(question.clone()).or_default();
                of_question.insert(document.clone(), grade.max(0.0) as u32);
            }
            Err(_) if row.number == 1 => {}
            Err(_) => return Err(broken(path, row.number, "has a grade that is no number")),
        }
    }
    Ok(judgments)
}

fn read(path: &Path) -> Result<String, QueryError> {
    fs_err::read_to_string(path).map_err(|error| QueryError::Collection {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

fn broken(path: &Path, line: usize, what: &str) -> QueryError {
    QueryError::Collection {
        path: PathBuf::from(path),
        message: format!("line {line} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_read_and_mistakes_are_located() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(dir.path().join(name), text).unwrap();
        write("corpus.jsonl", "{\"_id\": \"d\", \"text\": \"words\"}\n\n");
        write(
            "queries.jsonl",
            "{\"id\": \"q\", \"text\": \"a?\"}\n{\"id\": \"unjudged\", \"text\": \"b?\"}\n",
        );
        write("qrels.tsv", "query-id\tcorpus-id\tscore\nq\td\t2\n");
        let read = Collection::read(dir.path()).unwrap();
        assert_eq!((read.documents.len(), read.questions.len()), (1, 1));
        assert_eq!(read.judgments["q"]["d"], 2);

        write("questions.tsv", "id\tquestion\nq\tand this?\n");
        let about =
            |name: &str| Collection::about_folder(&dir.path().join("questions.tsv"), &dir.path().join(name));
        assert_eq!(about("qrels.tsv").unwrap().questions[0].text, "and this?");
        write("broken.tsv", "q\td\t1\nq\td\tmuch\n");
        assert!(about("broken.tsv").unwrap_err().to_string().contains("line 2"));
    }
}
