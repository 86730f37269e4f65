//! The pieces of the model, and the division of a word into the longest of them.

use std::borrow::Cow;

use crate::error::EmbedError;

/// Slots of the hash table for each piece, at least, so that a miss ends at the first or second look.
const SLOTS_A_PIECE: usize = 4;
/// The longest piece that can be looked up, in bytes.
const LONGEST_PIECE: usize = 64;

/// Where the hashes of pieces that begin a word and of those that continue one start: two tables in one.
const BEGINS: u64 = 0xcbf2_9ce4_8422_2325;
const CONTINUES: u64 = 0x9ae1_6a3b_2f90_404f;

/// The prefix of continuation pieces in `vocab.txt`.
const CONTINUATION: &str = "##";

/// A piece: where it is in the list of them, without its `##`.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u32,
    length: u16,
    continues: bool,
}

/// The pieces by id, and a hash table from piece to id.
#[derive(Debug)]
pub(super) struct Vocabulary {
    lines: Cow<'static, str>,
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
    /// Reads one piece a line; the number of the line is the token's id.
    pub(super) fn parse(lines: Cow<'static, str>) -> Result<Self, EmbedError> {
        let malformed = |reason| Err(EmbedError::MalformedModel { reason });
        if u32::try_from(lines.len()).is_err() {
            return malformed("the vocabulary is longer than 4 GB");
        }
        let mut pieces = Vec::new();
        let mut start = 0;
        for line in lines.split_inclusive('\n') {
            let text = line.strip_suffix('\n').unwrap_or(line);
            let text = text.strip_suffix('\r').unwrap_or(text);
            // A lone `##` is not a continuation of nothing, it is those two characters.
            let continues = text.len() > CONTINUATION.len() && text.starts_with(CONTINUATION);
            let skipped = if continues { CONTINUATION.len() } else { 0 };
            if text.len() - skipped > LONGEST_PIECE {
                return malformed("the vocabulary has a piece of more than 64 bytes");
            }
            pieces.push(Piece {
                start: (start + skipped) as u32,
                length: (text.len() - skipped) as u16,
                continues,
            });
            start += line.len();
        }
        // A table of one slot has no bits to choose it by.
        let slots = (pieces.len().max(1) * SLOTS_A_PIECE).next_power_of_two();
        let longest = pieces
            .iter()
            .map(|piece| usize::from(piece.length))
            .max()
            .unwrap_or(0);
        let mut vocabulary = Self {
            lines,
            pieces,
            slots: vec![0; slots].into_boxed_slice(),
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

    /// How many pieces there are; every id is below.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    fn text(&self, piece: Piece) -> &[u8] {
        &self.lines.as_bytes()[piece.start as usize..][..usize::from(piece.length)]
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
        let mut hashes = [0; LONGEST_PIECE];
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
        let mut slot = self.slot_of(hash);
        loop {
            let id = self.slots[slot].checked_sub(1)?;
            let piece = self.pieces[id as usize];
            if piece.continues == continues && self.text(piece) == text {
                return Some(id);
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    fn insert(&mut self, id: usize) {
        let piece = self.pieces[id];
        let start = if piece.continues { CONTINUES } else { BEGINS };
        let mut slot = self.slot_of(hash(self.text(piece), start));
        while self.slots[slot] != 0 {
            slot = (slot + 1) % self.slots.len();
        }
        self.slots[slot] = id as u32 + 1;
    }

    /// FNV mixes upwards, so the high bits choose the slot.
    fn slot_of(&self, hash: u64) -> usize {
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.slots.len().trailing_zeros())) as usize
    }
}

/// FNV-1a, one byte at a time: the hash of a prefix is a step on the way to the hash of the whole.
fn step(state: u64, byte: u8) -> u64 {
    (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash(text: &[u8], start: u64) -> u64 {
    text.iter().fold(start, |state, &byte| step(state, byte))
}
