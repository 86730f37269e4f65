//! WordPiece's vocabulary, and greedy longest-match splitting of a word.

use std::borrow::Cow;

use crate::error::EmbedError;

/// Minimum number of hash table slots per piece. At this load, a miss ends after one or two probes.
const SLOTS_PER_PIECE: usize = 4;
/// Longest piece in bytes.
const MAX_PIECE_LENGTH: usize = 64;

/// Initial hash state of pieces that begin a word. The two states keep both kinds apart in one table.
const BEGINS: u64 = 0xcbf2_9ce4_8422_2325;
/// Initial hash state of continuation pieces.
const CONTINUES: u64 = 0x9ae1_6a3b_2f90_404f;

/// The prefix of continuation pieces in `vocab.txt`.
const CONTINUATION: &str = "##";

/// Byte range of a piece in the vocabulary's text, without `##`.
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
    /// Token id + 1, or 0 for an empty slot. Collisions are resolved by linear probing.
    slots: Box<[u32]>,
    longest: usize,
    /// Id of the token before every text.
    pub(super) start: u32,
    /// Id of the token after every text.
    pub(super) end: u32,
    /// Id of a word that cannot be split into pieces.
    pub(super) unknown: u32,
}

impl Vocabulary {
    /// Parses one piece per line. The line number is the token id.
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
            // A lone `##` is a piece of two characters, not an empty continuation.
            let continues = text.len() > CONTINUATION.len() && text.starts_with(CONTINUATION);
            let skipped = if continues { CONTINUATION.len() } else { 0 };
            if text.len() - skipped > MAX_PIECE_LENGTH {
                return malformed("the vocabulary has a piece of more than 64 bytes");
            }
            pieces.push(Piece {
                start: (start + skipped) as u32,
                length: (text.len() - skipped) as u16,
                continues,
            });
            start += line.len();
        }
        // At least four slots: `slot_of` cannot shift by the 64 bits that a single slot would need.
        let slots = (pieces.len().max(1) * SLOTS_PER_PIECE).next_power_of_two();
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

    /// Number of pieces. Every id is lower.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    fn text(&self, piece: Piece) -> &[u8] {
        &self.lines.as_bytes()[piece.start as usize..][..usize::from(piece.length)]
    }

    /// Splits a word greedily into the longest matching pieces, as (id, end in the word). Returns false if that fails.
    pub(super) fn split(&self, word: &[u8], pieces: &mut Vec<(u32, usize)>) -> bool {
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

    /// Hashes all prefixes in one pass, then looks them up from the longest to the shortest.
    fn longest_prefix(&self, text: &[u8], continues: bool) -> Option<(u32, usize)> {
        let mut hashes = [0; MAX_PIECE_LENGTH];
        let longest = text.len().min(self.longest).min(hashes.len());
        let mut state = if continues { CONTINUES } else { BEGINS };
        for (hash, &byte) in hashes[..longest].iter_mut().zip(text) {
            state = step(state, byte);
            *hash = state;
        }
        (1..=longest).rev().find_map(|length| {
            self.find(&text[..length], continues, hashes[length - 1])
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

    /// The slot comes from the high bits, because FNV mixes its input upwards.
    fn slot_of(&self, hash: u64) -> usize {
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.slots.len().trailing_zeros())) as usize
    }
}

/// One byte of FNV-1a. The hash of a prefix is an intermediate state of the whole word's hash.
fn step(state: u64, byte: u8) -> u64 {
    (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash(text: &[u8], start: u64) -> u64 {
    text.iter().fold(start, |state, &byte| step(state, byte))
}
