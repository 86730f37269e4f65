//! Links of all rows, one after another.

/// Which rows each row leads to.
#[derive(Debug, PartialEq)]
pub(super) struct Links {
    /// Where those of a row begin; one more than there are rows.
    starts: Vec<u64>,
    ends: Vec<u32>,
}

impl Links {
    /// Those of each row in turn.
    pub(super) fn new<L: Iterator<Item = u32>>(rows: impl Iterator<Item = L>) -> Links {
        let (mut starts, mut ends) = (vec![0], Vec::new());
        for links in rows {
            ends.extend(links);
            starts.push(ends.len() as u64);
        }
        ends.shrink_to_fit();
        Links { starts, ends }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Those of a row.
    pub(super) fn of(&self, row: u32) -> &[u32] {
        let row = row as usize;
        &self.ends[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}
