use super::Publisher;
use crate::fixture::{add, open};
use crate::{ChangeBatch, DocumentKey, Seq, StoreError, catalog};

type Step = fn(&mut Publisher) -> Result<(), StoreError>;

/// An index that is behind needs the retired row to remove the document.
#[test]
fn retired_rows_are_kept_until_both_indexes_have_applied_them() {
    let orders: [[Step; 2]; 2] = [
        [Publisher::refresh_lexical, Publisher::refresh_vectors],
        [Publisher::refresh_vectors, Publisher::refresh_lexical],
    ];
    for [first, second] in orders {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        add(&store, "a", "penguins live in the south");
        let removal = ChangeBatch {
            removals: vec![DocumentKey::from("a")],
            ..ChangeBatch::default()
        };
        store.apply(&removal).unwrap();
        let count_retired = || {
            let everything = i64::MAX as Seq;
            let catalog = store.catalog();
            let retired = catalog.read(|connection| catalog::retired_documents(connection, 0, everything));
            retired.unwrap().len()
        };
        let mut publisher = store.publisher();
        for (refresh, kept) in [(first, 1), (second, 0)] {
            refresh(&mut publisher).unwrap();
            publisher.prune().unwrap();
            assert_eq!(count_retired(), kept);
        }
    }
}
