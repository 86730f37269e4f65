//! Linking rows, one after another, on several threads.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::entries::Entries;
use super::links::Links;
use super::search::{Found, NONE, Visited, product, search};
use crate::vectors::{SignQuery, Vectors};

/// Links that a row is given, at most …
const GIVEN: usize = 32;
/// … and that it has, with those of later rows to it. Where one more comes, the best `GIVEN` stay.
const ROOM: usize = 48;
/// Rows looked at to find those to link to.
const CANDIDATES: usize = 128;
/// Places that the search for them begins from.
const BEGINNINGS: usize = 16;
/// A link is left out where another leads nearer to its end by this factor. Above 1, so that some lead far as well: the rule of
/// Vamana (Subramanya and others, "DiskANN").
const FAR: f32 = 1.2;
/// Rows that one thread links before others join in: an empty graph leads nowhere.
const ALONE: usize = 1000;
/// Rows that a thread takes at a time; between them it looks whether to stop.
const STRETCH: usize = 64;
/// Rows share this many locks.
const LOCKS: usize = 1024;

/// Links being made.
struct Building<'a> {
    vectors: &'a Vectors,
    entries: &'a Entries,
    /// [`ROOM`] a row, [`NONE`] behind the last.
    links: Vec<AtomicU32>,
    locks: Vec<Mutex<()>>,
}

/// Links for the rows of `order`, made in this order, whose first are `entries`. None if it is told to stop before it is done.
pub(super) fn build(
    vectors: &Vectors,
    order: &[u32],
    entries: &Entries,
    threads: usize,
    stop: &AtomicBool,
) -> Option<Links> {
    let building = Building {
        vectors,
        entries,
        links: (0..vectors.len * ROOM).map(|_| AtomicU32::new(NONE)).collect(),
        locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
    };
    let next = AtomicUsize::new(0);
    let work = |until: usize| {
        let mut visited = Visited::new();
        while !stop.load(Ordering::Relaxed) {
            let first = next.fetch_add(STRETCH, Ordering::Relaxed);
            if first >= until {
                break;
            }
            let stretch = first..(first + STRETCH).min(order.len());
            for (&row, at) in order[stretch.clone()].iter().zip(stretch) {
                building.insert(row, at, &mut visited);
            }
        }
    };
    work(ALONE.min(order.len()));
    // The last stretch that was asked for was not done.
    next.fetch_sub(STRETCH, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // With fewer threads than wanted it takes longer.
            let _ = std::thread::Builder::new().spawn_scoped(scope, || work(order.len()));
        }
        work(order.len());
    });
    if stop.load(Ordering::Relaxed) {
        return None;
    }
    Some(Links::new(
        (0..vectors.len as u32).map(|row| building.links_of(row)),
    ))
}

impl Building<'_> {
    /// Links `row`, the one at place `at` of the order.
    fn insert(&self, row: u32, at: usize, visited: &mut Visited) {
        let (block, place) = self.vectors.place(row);
        let (codes, scale) = (block.codes.of(place), block.scales[place]);
        let values: Vec<f32> = codes.iter().map(|&code| f32::from(code)).collect();
        // Only rows that came before: those that come later lead nowhere yet.
        let from = self.entries.nearest(&SignQuery::new(&values), at, BEGINNINGS);
        let links = |row, near: &mut Vec<u32>| near.extend(self.links_of(row));
        let mut found = search(self.vectors, codes, &from, CANDIDATES, visited, links);
        found.retain(|found| found.row != row);
        found.iter_mut().for_each(|found| found.score *= scale);
        let chosen = self.chosen(&found);
        for (link, other) in self.room_of(row).iter().zip(&chosen) {
            link.store(*other, Ordering::Relaxed);
        }
        for other in chosen {
            self.link(other, row);
        }
    }

    /// Adds a link from `row` to `other`.
    fn link(&self, row: u32, other: u32) {
        let lock = &self.locks[row as usize % LOCKS];
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.room_of(row);
        if let Some(free) = room.iter().find(|link| link.load(Ordering::Relaxed) == NONE) {
            free.store(other, Ordering::Relaxed);
            return;
        }
        let found = |other| Found {
            score: self.cosine(row, other),
            row: other,
        };
        let mut all: Vec<Found> = self.links_of(row).chain([other]).map(found).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        let chosen = self.chosen(&all);
        for (at, link) in room.iter().enumerate() {
            link.store(chosen.get(at).copied().unwrap_or(NONE), Ordering::Relaxed);
        }
    }

    /// Of rows by their cosine with one, best first, those that it is to be linked to: near ones, but not several in the same
    /// direction.
    fn chosen(&self, found: &[Found]) -> Vec<u32> {
        let mut chosen: Vec<u32> = Vec::with_capacity(GIVEN);
        for candidate in found {
            if chosen.len() == GIVEN {
                break;
            }
            let distance = 1.0 - candidate.score;
            let leads = |&other: &u32| (1.0 - self.cosine(other, candidate.row)) * FAR <= distance;
            if !chosen.iter().any(leads) {
                chosen.push(candidate.row);
            }
        }
        chosen
    }

    fn cosine(&self, one: u32, other: u32) -> f32 {
        let (block, place) = self.vectors.place(one);
        product(self.vectors, block.codes.of(place), other) * block.scales[place]
    }

    fn room_of(&self, row: u32) -> &[AtomicU32] {
        &self.links[row as usize * ROOM..][..ROOM]
    }

    /// The links of a row. Another thread may be changing them; each is that of a row in any case.
    fn links_of(&self, row: u32) -> impl Iterator<Item = u32> + use<'_> {
        let links = self.room_of(row).iter().map(|link| link.load(Ordering::Relaxed));
        links.take_while(|&link| link != NONE)
    }
}
