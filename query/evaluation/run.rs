//! Rankings of many questions, stored in the TREC format for comparison with later runs and other tools.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::{Collection, Measures};
use crate::QueryError;

/// For each question, its documents and their scores, best first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run(BTreeMap<String, Vec<(String, f32)>>);

impl Run {
    /// Adds the ranking of a question, best first. If a document occurs repeatedly, its first score counts.
    pub fn insert(&mut self, question: &str, ranking: impl IntoIterator<Item = (String, f32)>) {
        let mut seen = std::collections::HashSet::new();
        let ranking = ranking
            .into_iter()
            .filter(|(document, _)| seen.insert(document.clone()));
        self.0.insert(question.to_owned(), ranking.collect());
    }

    /// The ranking of a question. Empty if the question is unknown.
    pub fn ranking(&self, question: &str) -> &[(String, f32)] {
        self.0.get(question).map_or(&[], Vec::as_slice)
    }

    /// Rank of a document for a question, from 1.
    pub fn rank_of(&self, question: &str, document: &str) -> Option<usize> {
        let mut ranking = self.ranking(question).iter();
        ranking
            .position(|(ranked, _)| ranked == document)
            .map(|at| at + 1)
    }

    /// Rank of the first relevant document for a question, from 1.
    pub fn first_relevant(&self, collection: &Collection, question: &str) -> Option<usize> {
        let grades = collection.judgments.get(question)?;
        let mut ranking = self.ranking(question).iter();
        ranking
            .position(|(document, _)| grades.get(document).is_some_and(|grade| *grade > 0))
            .map(|at| at + 1)
    }

    /// The measures of one question. All are 0 for a question without judgments.
    pub fn measures_of(&self, collection: &Collection, question: &str) -> Measures {
        let ids = self
            .ranking(question)
            .iter()
            .map(|(document, _)| document.as_str());
        collection
            .judgments
            .get(question)
            .map_or_else(Measures::default, |grades| Measures::of(ids, grades))
    }

    /// The means over all questions of a collection.
    pub fn measures(&self, collection: &Collection) -> Measures {
        let each = collection
            .questions
            .iter()
            .map(|question| self.measures_of(collection, &question.id));
        each.sum::<Measures>() / collection.questions.len().max(1) as f64
    }

    /// Writes one line for each document: question, `Q0`, document, rank, score and `tag`, separated by tabs.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn write(&self, out: &mut impl Write, tag: &str) -> std::io::Result<()> {
        for (question, ranking) in &self.0 {
            for ((document, score), rank) in ranking.iter().zip(1..) {
                writeln!(out, "{question}\tQ0\t{document}\t{rank}\t{score}\t{tag}")?;
            }
        }
        Ok(())
    }

    /// Reads a TREC run, written by [`Run::write`] or by another program. Cells may be separated by tabs or, without tabs, by spaces.
    ///
    /// # Errors
    /// [`QueryError::Collection`] with the file and line that cannot be read.
    pub fn read(path: &Path) -> Result<Run, QueryError> {
        let failed = |message: String| QueryError::Collection {
            path: path.to_owned(),
            message,
        };
        let text = fs_err::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let mut run = Run::default();
        for (index, line) in text.lines().enumerate() {
            let cells: Vec<&str> = if line.contains('\t') {
                line.split('\t').collect()
            } else {
                line.split_whitespace().collect()
            };
            let [question, _, document, _, score, ..] = cells.as_slice() else {
                return Err(failed(format!(
                    "line {} is not a line of a TREC run: question, Q0, document, rank, score",
                    index + 1
                )));
            };
            let score = score
                .parse()
                .map_err(|_| failed(format!("line {} has a score that is not a number", index + 1)))?;
            let ranking = run.0.entry((*question).to_owned()).or_default();
            ranking.push(((*document).to_owned(), score));
        }
        for ranking in run.0.values_mut() {
            ranking.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        }
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_survives_writing_and_reading() {
        let mut run = Run::default();
        let ranking = [("a b", 0.75), ("c", 0.5), ("a b", 0.25)];
        run.insert("q1", ranking.map(|(id, score)| (id.to_owned(), score)));
        assert_eq!(run.ranking("q1").len(), 2, "a document is listed once");
        let file = tempfile::NamedTempFile::new().unwrap();
        run.write(&mut file.as_file(), "test").unwrap();
        assert_eq!(Run::read(file.path()).unwrap(), run);
        fs_err::write(file.path(), "q1 Q0\n").unwrap();
        assert!(Run::read(file.path()).unwrap_err().to_string().contains("line 1"));
    }
}
