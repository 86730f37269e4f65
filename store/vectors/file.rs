//! The vector file: a header, followed by append-only frames. A commit is one or more frames.
//!
//! The header is the magic and `dimensions: u32`. A frame is `length: u32, crc: u32`, followed by a body of
//! `length` bytes with that CRC-32: `seq: u64, count: u32`, then `count` times `passage: u64, document: u32,
//! scale: f32, codes: i8 × dimensions`. All numbers are little-endian. Only the last frame of a commit has a
//! `seq`; the others have 0.
//!
//! Reading ends at the first frame that is truncated or fails its CRC. The process died while writing it, and
//! the catalog still has its vectors.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use fs_err::File;

use super::QuantizedVector;
use crate::{DocumentId, PassageId, Seq, StoreError};

const MAGIC: &[u8; 8] = b"ARAGVEC1";
/// Length of the header: magic and dimensions.
const HEADER: u64 = 12;
/// Bytes of a frame before its body: length and CRC.
const FRAME_PREFIX: usize = 8;
/// Bytes of a body before its vectors: seq and count.
const BODY_HEAD: usize = 12;
/// Bytes of a vector before its codes: passage, document and scale.
const ROW_HEAD: usize = 16;
/// Maximum number of vectors per frame. It bounds the memory to read a frame.
pub(crate) const FRAME_VECTORS: usize = 4096;
/// Maximum length of a body. A larger number is damage, not a length to allocate.
const MAX_BODY: u32 = 64 << 20;

/// A frame read from the file.
pub(crate) struct Frame<'a> {
    /// Catalog sequence number that the commit applies. `None` if further frames of the commit follow.
    pub seq: Option<Seq>,
    dimensions: usize,
    /// Byte offset of the first vector in the file.
    offset: u64,
    rows: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The vectors, each with the byte offset of its codes in the file.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = (QuantizedVector<'a>, u64)> + use<'a> {
        let (offset, stride) = (self.offset, ROW_HEAD + self.dimensions);
        let rows = self.rows.chunks_exact(stride).enumerate();
        rows.filter_map(move |(index, row)| {
            Some((parse_row(row)?, offset + (index * stride + ROW_HEAD) as u64))
        })
    }
}

fn parse_row(row: &[u8]) -> Option<QuantizedVector<'_>> {
    let (passage, row) = row.split_first_chunk::<8>()?;
    let (document, row) = row.split_first_chunk::<4>()?;
    let (scale, codes) = row.split_first_chunk::<4>()?;
    Some(QuantizedVector {
        passage: PassageId(u64::from_le_bytes(*passage)),
        document: DocumentId(u32::from_le_bytes(*document)),
        scale: f32::from_le_bytes(*scale),
        codes: bytemuck::cast_slice(codes),
    })
}

/// A vector file, open for appending.
pub(crate) struct VectorFile {
    file: File,
    dimensions: usize,
    /// Byte offset of the end of the last complete commit.
    committed: u64,
}

impl VectorFile {
    /// Creates an empty file, replacing any other.
    pub(crate) fn create(path: &Path, dimensions: usize) -> Result<VectorFile, StoreError> {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let mut file = File::create(path)?;
        file.write_all(MAGIC)?;
        file.write_all(&(dimensions as u32).to_le_bytes())?;
        file.sync_all()?;
        Ok(VectorFile {
            file,
            dimensions,
            committed: HEADER,
        })
    }

    /// Opens a file and truncates it to `end` bytes, the end of its last complete commit.
    pub(crate) fn open(path: &Path, dimensions: usize, end: u64) -> Result<VectorFile, StoreError> {
        let mut file = fs_err::OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() != end {
            tracing::warn!(path = %path.display(), "truncating an unfinished commit");
            file.set_len(end)?;
        }
        file.seek(SeekFrom::End(0))?;
        Ok(VectorFile {
            file,
            dimensions,
            committed: end,
        })
    }

    /// A second handle to the file, for reading and mapping.
    pub(crate) fn reader(&self) -> Result<Arc<std::fs::File>, StoreError> {
        Ok(Arc::new(File::open(self.file.path())?.into_parts().0))
    }

    /// Appends vectors, completes the commit and syncs the file. Returns the byte offset of each vector's
    /// codes.
    pub(crate) fn append(
        &mut self,
        seq: Seq,
        vectors: &[QuantizedVector<'_>],
    ) -> Result<Vec<u64>, StoreError> {
        let mut offsets = Vec::with_capacity(vectors.len());
        let last = vectors.len().saturating_sub(1) / FRAME_VECTORS * FRAME_VECTORS;
        for part in vectors[..last].chunks(FRAME_VECTORS) {
            offsets.extend(self.append_part(part)?);
        }
        // Only the last frame has the seq. If the process is killed earlier, the whole commit is replayed.
        offsets.extend(self.write(seq, &vectors[last..], File::sync_data)?);
        self.committed = self.file.stream_position()?;
        Ok(offsets)
    }

    /// Appends a part of a commit. It becomes valid when [`VectorFile::append`] completes the commit.
    pub(crate) fn append_part(&mut self, vectors: &[QuantizedVector<'_>]) -> Result<Vec<u64>, StoreError> {
        self.write(0, vectors, |_| Ok(()))
    }

    fn write(
        &mut self,
        seq: Seq,
        vectors: &[QuantizedVector<'_>],
        finish: impl Fn(&File) -> io::Result<()>,
    ) -> Result<Vec<u64>, StoreError> {
        let start = self.file.stream_position()?;
        let stride = ROW_HEAD + self.dimensions;
        let written = self.write_frame(seq, vectors).and_then(|()| finish(&self.file));
        if let Err(error) = written {
            // Remove the partial commit: the next commit must not be appended to it. If this fails too, `open`
            // truncates the file.
            let _ = self
                .file
                .set_len(self.committed)
                .and_then(|()| self.file.seek(SeekFrom::Start(self.committed)));
            return Err(error.into());
        }
        let first = start + (FRAME_PREFIX + BODY_HEAD + ROW_HEAD) as u64;
        Ok((0..vectors.len())
            .map(|index| first + (index * stride) as u64)
            .collect())
    }

    fn write_frame(&mut self, seq: Seq, vectors: &[QuantizedVector<'_>]) -> io::Result<()> {
        let mut body = Vec::with_capacity(BODY_HEAD + vectors.len() * (ROW_HEAD + self.dimensions));
        body.extend_from_slice(&seq.to_le_bytes());
        body.extend_from_slice(&(vectors.len() as u32).to_le_bytes());
        for vector in vectors {
            body.extend_from_slice(&vector.passage.0.to_le_bytes());
            body.extend_from_slice(&vector.document.0.to_le_bytes());
            body.extend_from_slice(&vector.scale.to_le_bytes());
            body.extend_from_slice(bytemuck::cast_slice(vector.codes));
        }
        self.file.write_all(&(body.len() as u32).to_le_bytes())?;
        self.file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
        self.file.write_all(&body)
    }
}

/// Calls `each` with the frames of all complete commits from byte `from` on. 0 means the first frame.
///
/// Returns the byte offset of the end of the last complete commit, or `None` if the header does not match
/// `dimensions`.
pub(crate) fn read_frames(
    path: &Path,
    dimensions: usize,
    from: u64,
    mut each: impl FnMut(Frame<'_>),
) -> Result<Option<u64>, StoreError> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut header = [0u8; HEADER as usize];
    if file.read_exact(&mut header).is_err()
        || header[..8] != *MAGIC
        || header[8..] != (dimensions as u32).to_le_bytes()
    {
        return Ok(None);
    }
    let from = from.max(HEADER);
    // Two passes: a frame is valid only if its commit is complete, and a commit may have too many frames to
    // keep in memory.
    let (mut position, mut end) = (from, from);
    for_each_frame(&mut file, dimensions, from, u64::MAX, true, |frame, length| {
        position += length;
        if frame.seq.is_some() {
            end = position;
        }
    })?;
    for_each_frame(&mut file, dimensions, from, end, false, |frame, _| each(frame))?;
    Ok(Some(end))
}

/// Calls `each` with the frames between two byte offsets and their lengths. Stops at the first damaged frame.
fn for_each_frame(
    file: &mut BufReader<File>,
    dimensions: usize,
    from: u64,
    to: u64,
    check_crc: bool,
    mut each: impl FnMut(Frame<'_>, u64),
) -> Result<(), StoreError> {
    file.seek(SeekFrom::Start(from))?;
    let (mut position, mut body) = (from, Vec::new());
    while position < to {
        let Some(length) = read_body(file, &mut body, check_crc)? else {
            break;
        };
        let Some(frame) = parse_body(&body, dimensions, position + FRAME_PREFIX as u64) else {
            break;
        };
        each(frame, length);
        position += length;
    }
    Ok(())
}

/// Reads the body of the next frame and returns the frame's length. `None` if the frame is truncated or fails
/// its CRC.
fn read_body(file: &mut impl Read, body: &mut Vec<u8>, check_crc: bool) -> Result<Option<u64>, StoreError> {
    let mut prefix = [0u8; FRAME_PREFIX];
    if !read_exact(file, &mut prefix)? {
        return Ok(None);
    }
    let [l0, l1, l2, l3, c0, c1, c2, c3] = prefix;
    let (length, crc) = (
        u32::from_le_bytes([l0, l1, l2, l3]),
        u32::from_le_bytes([c0, c1, c2, c3]),
    );
    if length > MAX_BODY {
        return Ok(None);
    }
    body.resize(length as usize, 0);
    if !read_exact(file, body)? || check_crc && crc32fast::hash(body) != crc {
        return Ok(None);
    }
    Ok(Some(FRAME_PREFIX as u64 + u64::from(length)))
}

/// Fills `buffer`. Returns false at the end of the file.
fn read_exact(file: &mut impl Read, buffer: &mut [u8]) -> Result<bool, StoreError> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Parses a body that starts at byte `offset` of the file.
fn parse_body(body: &[u8], dimensions: usize, offset: u64) -> Option<Frame<'_>> {
    let (seq, body) = body.split_first_chunk::<8>()?;
    let (count, rows) = body.split_first_chunk::<4>()?;
    let is_complete = rows.len() == u32::from_le_bytes(*count) as usize * (ROW_HEAD + dimensions);
    is_complete.then(|| Frame {
        seq: Some(u64::from_le_bytes(*seq)).filter(|seq| *seq > 0),
        dimensions,
        offset: offset + BODY_HEAD as u64,
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ascending codes. A test vector is a window of eight.
    static RAMP: [i8; 264] = {
        let mut ramp = [0; 264];
        let mut at = 0;
        while at < ramp.len() {
            ramp[at] = at as u8 as i8;
            at += 1;
        }
        ramp
    };

    fn vector(number: u64) -> QuantizedVector<'static> {
        QuantizedVector {
            passage: PassageId(number),
            document: DocumentId(number as u32 / 3),
            scale: 0.5,
            codes: &RAMP[number as usize % 256..][..8],
        }
    }

    /// The seq and the passage numbers of each commit from byte `from` on, and the end of the last commit.
    fn commits(path: &Path, from: u64) -> (Vec<(Seq, Vec<u64>)>, u64) {
        let bytes = fs_err::read(path).unwrap();
        let (mut commits, mut numbers) = (Vec::new(), Vec::new());
        let end = read_frames(path, 8, from, |frame| {
            for (read, offset) in frame.vectors() {
                assert_eq!(read, vector(read.passage.0));
                assert_eq!(
                    bytemuck::cast_slice::<i8, u8>(read.codes),
                    &bytes[offset as usize..][..8]
                );
                numbers.push(read.passage.0);
            }
            if let Some(seq) = frame.seq {
                commits.push((seq, std::mem::take(&mut numbers)));
            }
        });
        assert!(numbers.is_empty(), "an unfinished commit");
        (commits, end.unwrap().unwrap())
    }

    #[test]
    fn reading_continues_at_an_earlier_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 8).unwrap();
        file.append(1, &[vector(1), vector(2)]).unwrap();
        let (first, end) = commits(&path, 0);
        assert_eq!(first, [(1, vec![1, 2])]);
        file.append(2, &[]).unwrap();
        file.append(3, &[vector(3)]).unwrap();
        assert_eq!(commits(&path, end).0, [(2, vec![]), (3, vec![3])]);
        let other = read_frames(&path, 9, 0, |_| {}).unwrap();
        assert_eq!(other, None, "other dimensions");
    }

    #[test]
    fn a_commit_of_several_frames_is_all_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 8).unwrap();
        let many: Vec<u64> = (0..FRAME_VECTORS as u64 * 2 + 5).collect();
        let vectors: Vec<QuantizedVector<'_>> = many.iter().map(|&number| vector(number)).collect();
        let offsets = file.append(7, &vectors).unwrap();
        let mut read = Vec::new();
        read_frames(&path, 8, 0, |frame| {
            read.extend(frame.vectors().map(|(_, offset)| offset))
        })
        .unwrap();
        assert_eq!(read, offsets);
        assert_eq!(commits(&path, 0).0, [(7, many)]);
        let whole = fs_err::metadata(&path).unwrap().len();
        VectorFile::open(&path, 8, whole - 1).unwrap();
        assert_eq!(commits(&path, 0), (vec![], HEADER));
    }

    #[test]
    fn parts_belong_to_the_commit_that_completes_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 8).unwrap();
        file.append_part(&[vector(1)]).unwrap();
        assert_eq!(commits(&path, 0), (vec![], HEADER));
        file.append(4, &[vector(2)]).unwrap();
        assert_eq!(commits(&path, 0).0, [(4, vec![1, 2])]);
    }

    proptest! {
        /// Truncated anywhere or with any byte changed, the file still has a prefix of its commits.
        #[test]
        fn damage_ends_the_file(cut in 0usize..1000, flip in 0usize..1000, bits in 1u8..255) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("1.vec");
            let mut file = VectorFile::create(&path, 8).unwrap();
            for seq in 1..6 {
                file.append(seq, &[vector(seq), vector(seq + 10)]).unwrap();
            }
            let whole = commits(&path, 0).0;
            let mut bytes = fs_err::read(&path).unwrap();
            let after_header = HEADER as usize + flip % (bytes.len() - HEADER as usize);
            bytes[after_header] ^= bits;
            bytes.truncate(HEADER as usize + cut % bytes.len());
            fs_err::write(&path, &bytes).unwrap();
            let (left, end) = commits(&path, 0);
            prop_assert!(whole.starts_with(&left));
            let mut file = VectorFile::open(&path, 8, end).unwrap();
            file.append(9, &[vector(99)]).unwrap();
            prop_assert_eq!(commits(&path, 0).0.len(), left.len() + 1);
        }
    }
}
