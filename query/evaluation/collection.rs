//! Collections in the BEIR layout (Thakur et al., 2021, <https://arxiv.org/abs/2104.08663>), and questions about a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::QueryError;

/// Grades by question id and document id. Documents with a grade above 0 are relevant.
pub type Judgments = HashMap<String, HashMap<String, u32>>;

/// A document of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CollectionDocument {
    /// Id, as in the judgments.
    #[serde(alias = "_id")]
    pub id: String,
    /// Title; often empty.
    #[serde(default)]
    pub title: String,
    /// Text without the title.
    pub text: String,
}

/// A question of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// Id, as in the judgments.
    #[serde(alias = "_id")]
    pub id: String,
    /// Text of the question.
    pub text: String,
}

/// Questions with judgments, and in the BEIR layout also the documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// Documents. Empty if the questions are about a folder.
    pub documents: Vec<CollectionDocument>,
    /// Questions with at least one relevant document. Others would only lower the means.
    pub questions: Vec<Question>,
    /// Grades of the judged documents of each question.
    pub judgments: Judgments,
}

impl Collection {
    /// Reads a folder in the BEIR layout: `corpus.jsonl`, `queries.jsonl` and `qrels.tsv` or `qrels/test.tsv`.
    ///
    /// # Errors
    /// [`QueryError::Collection`] with the file and line that cannot be read.
    pub fn read(folder: &Path) -> Result<Collection, QueryError> {
        let qrels = [folder.join("qrels.tsv"), folder.join("qrels/test.tsv")];
        let qrels = qrels.iter().find(|path| path.is_file()).unwrap_or(&qrels[0]);
        let questions = json_lines(&folder.join("queries.jsonl"))?;
        let documents = json_lines(&folder.join("corpus.jsonl"))?;
        Ok(Collection {
            documents,
            ..Collection::new(questions, judgments(qrels)?)
        })
    }

    /// Reads questions about the documents of a folder.
    ///
    /// `questions` has the columns id and text, `qrels` the columns question id, document key and grade. Both are separated by tabs
    /// and may start with a header.
    ///
    /// # Errors
    /// [`QueryError::Collection`] with the file and line that cannot be read.
    pub fn about_folder(questions: &Path, qrels: &Path) -> Result<Collection, QueryError> {
        let rows = rows(questions)?
            .into_iter()
            .filter(|row| row.number > 1 || row.cells[0] != "id");
        let parsed = rows.map(|row| match row.cells.as_slice() {
            [id, text] => Ok(Question {
                id: id.clone(),
                text: text.clone(),
            }),
            _ => Err(malformed(
                questions,
                row.number,
                "must have two columns: question id and text",
            )),
        });
        Ok(Collection::new(
            parsed.collect::<Result<_, _>>()?,
            judgments(qrels)?,
        ))
    }

    fn new(mut questions: Vec<Question>, judgments: Judgments) -> Collection {
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
            serde_json::from_str(line).map_err(|error| malformed(path, index + 1, &error.to_string()))
        })
        .collect()
}

/// A line of a tab-separated file.
struct Row {
    /// Line number, from 1.
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
        // The TREC format has an unused second column.
        let (question, document, grade) = match row.cells.as_slice() {
            [question, document, grade] | [question, _, document, grade] => (question, document, grade),
            _ => {
                return Err(malformed(
                    path,
                    row.number,
                    "must have three columns: question id, document id and grade",
                ));
            }
        };
        match grade.parse::<f32>() {
            Ok(grade) => {
                let grades = judgments.entry(question.clone()).or_default();
                grades.insert(document.clone(), grade.max(0.0) as u32);
            }
            // The header.
            Err(_) if row.number == 1 => {}
            Err(_) => return Err(malformed(path, row.number, "has a grade that is not a number")),
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

fn malformed(path: &Path, line: usize, problem: &str) -> QueryError {
    QueryError::Collection {
        path: PathBuf::from(path),
        message: format!("line {line} {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_read_and_errors_name_the_line() {
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
        let read_about =
            |name: &str| Collection::about_folder(&dir.path().join("questions.tsv"), &dir.path().join(name));
        assert_eq!(read_about("qrels.tsv").unwrap().questions[0].text, "and this?");
        write("malformed.tsv", "q\td\t1\nq\td\tmuch\n");
        assert!(
            read_about("malformed.tsv")
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
    }
}
