//! The pieces of the model, and the division of a word into the longest of them.

use crate::error::EmbedError;

/// Slots of the hash table, four for each of about 30,000 pieces, so that a miss ends at the first or second look.
const SLOTS: usize = 1 << 17;

/// Where the hashes of pieces that begin a word and of those that continue one start: two tables in one.
const BEGINS: u64 = 0xcbf2_9ce4_8422_2325;
const CONTINUES: u64 = 0x9ae1_6a3b_2f90_404f;

/// The prefix of continuation pieces in `vocab.txt`.
const CONTINUATION: &str = "##";

/// A piece without its `##`.
#[derive(Debug, Clone, Copy)]
struct Piece {
    text: &'static [u8],
    continues: bool,
}

/// The pieces by id, and a hash table from piece to id.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pieces: Vec<Piece>,
    /// Token id + 1, or 0 for an empty slot; collisions go to the next slot.
    slots: Box<[u32]>,
    longest: usize,
    /// Id of the token before every text.
    pub(super) start: u32,
    /// Id of the token after every text.
    pub(super) end: u32,
    /// Id of a word that cannot be divided.
    pub(super) unknown: u32,
}

impl Vocabulary {
    pub(super) fn parse(lines: &'static str) -> Result<Self, EmbedError> {
        let pieces: Vec<Piece> = lines
            .lines()
            .map(|line| match line.strip_prefix(CONTINUATION) {
                // A lone `##` is not a continuation of nothing, it is those two characters.
                Some(rest) if !rest.is_empty() => Piece {
                    text: rest.as_bytes(),
                    continues: true,
                },
                _ => Piece {
                    text: line.as_bytes(),
                    continues: false,
                },
            })
            .collect();
        if pieces.len() * 2 > SLOTS {
            return Err(EmbedError::MalformedModel {
                reason: "the vocabulary has more pieces than its table holds",
            });
        }
        let longest = pieces.iter().map(|piece| piece.text.len()).max().unwrap_or(0);
        let mut vocabulary = Self {
            pieces,
            slots: vec![0; SLOTS].into_boxed_slice(),
            longest,
            start: 0,
            end: 0,
            unknown: 0,
        };
        for id in 0..vocabulary.pieces.len() {
            vocabulary.insert(id);
        }
        let special = |text: &[u8]| {
            vocabulary
                .find(text, false, hash(text, BEGINS))
                .ok_or(EmbedError::MalformedModel {
                    reason: "the vocabulary lacks a special token",
                })
        };
        (vocabulary.start, vocabulary.end, vocabulary.unknown) =
            (special(b"[CLS]")?, special(b"[SEP]")?, special(b"[UNK]")?);
        Ok(vocabulary)
    }

    /// Divides a word into pieces, each the longest that fits: (id, end in the word). False if no division exists.
    pub(super) fn divide(&self, word: &[u8], pieces: &mut Vec<(u32, usize)>) -> bool {
        pieces.clear();
        let mut start = 0;
        while start < word.len() {
            let Some((id, length)) = self.longest_prefix(&word[start..], start > 0) else {
                return false;
            };
            start += length;
            pieces.push((id, start));
        }
        true
    }

    /// One pass makes the hashes of all prefixes, then they are looked up from the longest to the shortest.
    fn longest_prefix(&self, rest: &[u8], continues: bool) -> Option<(u32, usize)> {
        let mut hashes = [0; 64];
        let longest = rest.len().min(self.longest).min(hashes.len());
        let mut state = if continues { CONTINUES } else { BEGINS };
        for (slot, &byte) in hashes[..longest].iter_mut().zip(rest) {
            state = step(state, byte);
            *slot = state;
        }
        (1..=longest).rev().find_map(|length| {
            self.find(&rest[..length], continues, hashes[length - 1])
                .map(|id| (id, length))
        })
    }

    fn find(&self, text: &[u8], continues: bool, hash: u64) -> Option<u32> {
        let mut slot = slot_of(hash);
        loop {
            let id = self.slots[slot].checked_sub(1)?;
            let piece = self.pieces[id as usize];
            if piece.continues == continues && piece.text == text {
                return Some(id);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    fn insert(&mut self, id: usize) {
        let piece = self.pieces[id];
        let mut slot = slot_of(hash(piece.text, if piece.continues { CONTINUES } else { BEGINS }));
        while self.slots[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = id as u32 + 1;
    }
}

/// FNV-1a, one byte at a time: the hash of a prefix is a step on the way to the hash of the whole.
fn step(state: u64, byte: u8) -> u64 {
    (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash(text: &[u8], start: u64) -> u64 {
    text.iter().fold(start, |state, &byte| step(state, byte))
}

/// FNV mixes upwards, so the high bits choose the slot.
fn slot_of(hash: u64) -> usize {
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
}
