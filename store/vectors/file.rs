//! The file of vectors: a header, then frames that are only ever appended, each a commit of its own.
//!
//! A frame is `length: u32, crc: u32` and then, both over `length` bytes, `seq: u64, count: u32` and `count` times
//! `passage: u64, document: u32, scale: f32, codes: i8 × dimensions`, all little-endian. A frame that is cut off or does not
//! match its CRC ends the file: it was being written when the process died, and the catalog still has what was in it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Coded;
use crate::{DocumentId, PassageId, Seq, StoreError};

const MAGIC: &[u8; 8] = b"ARAGVEC1";
/// Magic and dimensions.
const HEADER: u64 = 12;
/// Bytes of a frame before its vectors.
const FRAME_HEAD: usize = 12;
/// Vectors in a frame at most, so that reading one back needs little memory.
const FRAME_VECTORS: usize = 4096;
/// Largest frame that is believed; anything above is damage.
const LONGEST: u32 = 64 << 20;

/// A commit read back.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    /// Up to where it reaches in the catalog's history.
    pub seq: Seq,
    /// Its vectors.
    pub vectors: Vec<Coded>,
}

/// A file open for appending.
pub(crate) struct VectorFile {
    path: PathBuf,
    file: File,
    dimensions: usize,
}

impl VectorFile {
    /// Makes an empty file, in place of any there was.
    pub(crate) fn create(path: &Path, dimensions: usize) -> Result<VectorFile, StoreError> {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let mut file = fs_err::File::create(path)?.into_parts().0;
        file.write_all(MAGIC)?;
        file.write_all(&(dimensions as u32).to_le_bytes())?;
        file.sync_all()?;
        Ok(VectorFile {
            path: path.to_owned(),
            file,
            dimensions,
        })
    }

    /// Opens a file whose intact part is `end` bytes long, and cuts the rest off.
    pub(crate) fn open(path: &Path, dimensions: usize, end: u64) -> Result<VectorFile, StoreError> {
        let mut file = fs_err::OpenOptions::new().write(true).open(path)?.into_parts().0;
        if file.metadata()?.len() != end {
            tracing::warn!(path = %path.display(), "cutting off a commit that was not finished");
            file.set_len(end)?;
        }
        file.seek(SeekFrom::End(0))?;
        Ok(VectorFile {
            path: path.to_owned(),
            file,
            dimensions,
        })
    }

    /// Appends vectors and makes them durable. An empty commit only moves `seq` on.
    pub(crate) fn append(&mut self, seq: Seq, vectors: &[Coded]) -> Result<(), StoreError> {
        let before = self.file.stream_position()?;
        let written = self
            .write_frames(seq, vectors)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Leave no half a frame for the next one to be appended to; if even that fails, opening cuts it off.
            let _ = self
                .file
                .set_len(before)
                .and_then(|()| self.file.seek(SeekFrom::Start(before)));
            return Err(
                std::io::Error::new(error.kind(), format!("{}: {error}", self.path.display())).into(),
            );
        }
        Ok(())
    }

    fn write_frames(&mut self, seq: Seq, vectors: &[Coded]) -> std::io::Result<()> {
        let parts: Vec<&[Coded]> = if vectors.is_empty() {
            vec![&[]]
        } else {
            vectors.chunks(FRAME_VECTORS).collect()
        };
        for (index, part) in parts.iter().enumerate() {
            // Only the last frame of several reaches seq: a kill between them must have the rest replayed.
            let seq = if index + 1 == parts.len() { seq } else { 0 };
            let mut body = Vec::with_capacity(FRAME_HEAD + part.len() * (16 + self.dimensions));
            body.extend_from_slice(&seq.to_le_bytes());
            body.extend_from_slice(&(part.len() as u32).to_le_bytes());
            for vector in *part {
                body.extend_from_slice(&vector.passage.0.to_le_bytes());
                body.extend_from_slice(&vector.document.0.to_le_bytes());
                body.extend_from_slice(&vector.scale.to_le_bytes());
                body.extend(vector.codes.iter().map(|&code| code as u8));
            }
            self.file.write_all(&(body.len() as u32).to_le_bytes())?;
            self.file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
            self.file.write_all(&body)?;
        }
        Ok(())
    }
}

/// Reads the intact frames of a file from byte `from` on (0 for the first), calling `each`. Where the intact part ends; none
/// where this is no file of vectors of `dimensions`.
pub(crate) fn read_frames(
    path: &Path,
    dimensions: usize,
    from: u64,
    mut each: impl FnMut(Frame),
) -> Result<Option<u64>, StoreError> {
    let mut file = BufReader::with_capacity(1 << 20, fs_err::File::open(path)?.into_parts().0);
    let mut header = [0u8; HEADER as usize];
    if file.read_exact(&mut header).is_err()
        || header[..8] != *MAGIC
        || header[8..] != (dimensions as u32).to_le_bytes()
    {
        return Ok(None);
    }
    let mut end = from.max(HEADER);
    file.seek(SeekFrom::Start(end))?;
    let mut body = Vec::new();
    let mut unfinished: Vec<Coded> = Vec::new();
    let mut reached = end;
    while let Some(length) = next_frame(&mut file, &mut body)? {
        let Some(mut frame) = parse(&body, dimensions) else {
            break;
        };
        end += length;
        unfinished.append(&mut frame.vectors);
        if frame.seq > 0 {
            frame.vectors = std::mem::take(&mut unfinished);
            reached = end;
            each(frame);
        }
    }
    Ok(Some(reached))
}

/// The next frame's body, and how long the frame is; none where it is not whole.
fn next_frame(file: &mut impl Read, body: &mut Vec<u8>) -> Result<Option<u64>, StoreError> {
    let mut head = [0u8; 8];
    if !filled(file, &mut head)? {
        return Ok(None);
    }
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (length, crc) = (word(0), word(4));
    if length > LONGEST {
        return Ok(None);
    }
    body.resize(length as usize, 0);
    if !filled(file, body)? || crc32fast::hash(body) != crc {
        return Ok(None);
    }
    Ok(Some(8 + u64::from(length)))
}

fn filled(file: &mut impl Read, buffer: &mut [u8]) -> Result<bool, StoreError> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn parse(body: &[u8], dimensions: usize) -> Option<Frame> {
    let (seq, rest) = body.split_first_chunk::<8>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    if rest.len() != count * (16 + dimensions) {
        return None;
    }
    let mut vectors = Vec::with_capacity(count);
    for _ in 0..count {
        let (passage, after) = rest.split_first_chunk::<8>()?;
        let (document, after) = after.split_first_chunk::<4>()?;
        let (scale, after) = after.split_first_chunk::<4>()?;
        let (codes, after) = after.split_at_checked(dimensions)?;
        vectors.push(Coded {
            passage: PassageId(u64::from_le_bytes(*passage)),
            document: DocumentId(u32::from_le_bytes(*document)),
            scale: f32::from_le_bytes(*scale),
            codes: codes.iter().map(|&byte| byte as i8).collect(),
        });
        rest = after;
    }
    Some(Frame {
        seq: u64::from_le_bytes(*seq),
        vectors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(number: u64) -> Coded {
        let codes = (0..8).map(|at| (number as i8).wrapping_add(at)).collect();
        Coded {
            passage: PassageId(number),
            document: DocumentId(number as u32 / 3),
            scale: 0.5,
            codes,
        }
    }

    fn frames(path: &Path, from: u64) -> (Vec<Frame>, u64) {
        let mut frames = Vec::new();
        let end = read_frames(path, 8, from, |frame| frames.push(frame))
            .unwrap()
            .unwrap();
        (frames, end)
    }

    #[test]
    fn reads_on_from_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 8).unwrap();
        file.append(1, &[vector(1), vector(2)]).unwrap();
        let (first, end) = frames(&path, 0);
        assert_eq!(
            first,
            [Frame {
                seq: 1,
                vectors: vec![vector(1), vector(2)]
            }]
        );
        file.append(2, &[]).unwrap();
        file.append(3, &[vector(3)]).unwrap();
        let (rest, _) = frames(&path, end);
        assert_eq!(rest.iter().map(|frame| frame.seq).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            read_frames(&path, 9, 0, |_| {}).unwrap(),
            None,
            "other dimensions"
        );
    }

    #[test]
    fn a_commit_of_several_frames_is_all_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 8).unwrap();
        let many: Vec<Coded> = (0..FRAME_VECTORS as u64 + 5).map(vector).collect();
        file.append(7, &many).unwrap();
        assert_eq!(
            frames(&path, 0).0,
            [Frame {
                seq: 7,
                vectors: many
            }]
        );
        let whole = fs_err::metadata(&path).unwrap().len();
        VectorFile::open(&path, 8, whole - 1).unwrap();
        assert_eq!(frames(&path, 0), (vec![], HEADER));
    }

    proptest! {
        /// Cut anywhere or with any byte changed, what is read back is a beginning of what was written.
        #[test]
        fn damage_ends_the_file(cut in 0usize..1000, flip in 0usize..1000, bits in 1u8..255) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("1.vec");
            let mut file = VectorFile::create(&path, 8).unwrap();
            for seq in 1..6 {
                file.append(seq, &[vector(seq), vector(seq + 10)]).unwrap();
            }
            let whole = frames(&path, 0).0;
            let mut bytes = fs_err::read(&path).unwrap();
            let after_header = HEADER as usize + flip % (bytes.len() - HEADER as usize);
            bytes[after_header] ^= bits;
            bytes.truncate(HEADER as usize + cut % bytes.len());
            fs_err::write(&path, &bytes).unwrap();
            let (left, end) = frames(&path, 0);
            prop_assert!(whole.starts_with(&left));
            let mut file = VectorFile::open(&path, 8, end).unwrap();
            file.append(9, &[vector(99)]).unwrap();
            prop_assert_eq!(frames(&path, 0).0.len(), left.len() + 1);
        }
    }
}
