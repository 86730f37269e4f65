//! The file of vectors: a header, then frames that are only ever appended, each a commit of its own.
//!
//! A frame is `length: u32, crc: u32` and then, both over `length` bytes, `seq: u64, count: u32` and `count` times
//! `passage: u64, document: u32, scale: f32, codes: i8 × dimensions`, all little-endian. A frame that is cut off or does not
//! match its CRC ends the file: it was being written when the process died, and the catalog still has what was in it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::QuantizedVector;
use crate::{DocumentId, PassageId, Seq, StoreError};

const MAGIC: &[u8; 8] = b"ARAGVEC1";
/// Magic and dimensions.
const HEADER: u64 = 12;
/// Bytes of a frame before its vectors.
const FRAME_HEAD: usize = 12;
/// Bytes of a vector before its codes.
const ROW_HEAD: usize = 16;
/// Vectors in a frame at most, so that reading one back needs little memory.
pub(crate) const FRAME_VECTORS: usize = 4096;
/// Largest frame that is believed; anything above is damage.
const LONGEST: u32 = 64 << 20;

/// A frame read back.
pub(crate) struct Frame<'a> {
    /// Up to where the commit that it ends reaches in the catalog's history; none where the commit goes on.
    pub seq: Option<Seq>,
    dimensions: usize,
    /// Byte of the file at which its vectors begin.
    at: u64,
    rows: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Its vectors, each with the byte of the file at which its codes begin.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = (QuantizedVector<'a>, u64)> + use<'a> {
        let (at, stride) = (self.at, ROW_HEAD + self.dimensions);
        let rows = self.rows.chunks_exact(stride).enumerate();
        rows.filter_map(move |(index, row)| Some((vector(row)?, at + (index * stride + ROW_HEAD) as u64)))
    }
}

fn vector(row: &[u8]) -> Option<QuantizedVector<'_>> {
    let (passage, rest) = row.split_first_chunk::<8>()?;
    let (document, rest) = rest.split_first_chunk::<4>()?;
    let (scale, codes) = rest.split_first_chunk::<4>()?;
    Some(QuantizedVector {
        passage: PassageId(u64::from_le_bytes(*passage)),
        document: DocumentId(u32::from_le_bytes(*document)),
        scale: f32::from_le_bytes(*scale),
        codes: bytemuck::cast_slice(codes),
    })
}

/// A file open for appending.
pub(crate) struct VectorFile {
    path: PathBuf,
    file: File,
    dimensions: usize,
    /// Where the last whole commit ends.
    committed: u64,
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
            committed: HEADER,
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
            committed: end,
        })
    }

    /// The file, for reading what was written.
    pub(crate) fn reader(&self) -> Result<Arc<File>, StoreError> {
        Ok(Arc::new(fs_err::File::open(&self.path)?.into_parts().0))
    }

    /// Appends vectors and makes them durable. Where the codes of each are in the file.
    pub(crate) fn append(
        &mut self,
        seq: Seq,
        vectors: &[QuantizedVector<'_>],
    ) -> Result<Vec<u64>, StoreError> {
        let mut places = Vec::with_capacity(vectors.len());
        let whole = vectors.len().saturating_sub(1) / FRAME_VECTORS * FRAME_VECTORS;
        for part in vectors[..whole].chunks(FRAME_VECTORS) {
            places.extend(self.append_part(part)?);
        }
        // Only the last frame of several reaches seq: a kill between them must have the rest replayed.
        places.extend(self.write(seq, &vectors[whole..], File::sync_data)?);
        self.committed = self.file.stream_position()?;
        Ok(places)
    }

    /// Appends vectors of a commit that goes on: none counts before [`VectorFile::append`] has ended it.
    pub(crate) fn append_part(&mut self, vectors: &[QuantizedVector<'_>]) -> Result<Vec<u64>, StoreError> {
        self.write(0, vectors, |_| Ok(()))
    }

    fn write(
        &mut self,
        seq: Seq,
        vectors: &[QuantizedVector<'_>],
        finish: impl Fn(&File) -> io::Result<()>,
    ) -> Result<Vec<u64>, StoreError> {
        let before = self.file.stream_position()?;
        let stride = ROW_HEAD + self.dimensions;
        let written = self.write_frame(seq, vectors).and_then(|()| finish(&self.file));
        if let Err(error) = written {
            // Leave no half a commit for the next one to be appended to; if even that fails, opening cuts it off.
            let _ = self
                .file
                .set_len(self.committed)
                .and_then(|()| self.file.seek(SeekFrom::Start(self.committed)));
            let message = format!("{}: {error}", self.path.display());
            return Err(io::Error::new(error.kind(), message).into());
        }
        let first = before + (8 + FRAME_HEAD + ROW_HEAD) as u64;
        Ok((0..vectors.len())
            .map(|index| first + (index * stride) as u64)
            .collect())
    }

    fn write_frame(&mut self, seq: Seq, vectors: &[QuantizedVector<'_>]) -> io::Result<()> {
        let mut body = Vec::with_capacity(FRAME_HEAD + vectors.len() * (ROW_HEAD + self.dimensions));
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

/// Reads the frames of whole commits from byte `from` of a file on (0 for the first), calling `each`. Where the last of them
/// ends; none where this is no file of vectors of `dimensions`.
pub(crate) fn read_frames(
    path: &Path,
    dimensions: usize,
    from: u64,
    mut each: impl FnMut(Frame<'_>),
) -> Result<Option<u64>, StoreError> {
    let mut file = BufReader::with_capacity(1 << 20, fs_err::File::open(path)?.into_parts().0);
    let mut header = [0u8; HEADER as usize];
    if file.read_exact(&mut header).is_err()
        || header[..8] != *MAGIC
        || header[8..] != (dimensions as u32).to_le_bytes()
    {
        return Ok(None);
    }
    let from = from.max(HEADER);
    // Gone through twice: a commit's frames count only with the last of them, and may be too many to be kept meanwhile.
    let (mut at, mut end) = (from, from);
    walk(&mut file, dimensions, from, u64::MAX, true, |frame, length| {
        at += length;
        if frame.seq.is_some() {
            end = at;
        }
    })?;
    walk(&mut file, dimensions, from, end, false, |frame, _| each(frame))?;
    Ok(Some(end))
}

/// Calls `each` for the intact frames between two bytes, with the frame's length.
fn walk(
    file: &mut BufReader<File>,
    dimensions: usize,
    from: u64,
    to: u64,
    check: bool,
    mut each: impl FnMut(Frame<'_>, u64),
) -> Result<(), StoreError> {
    file.seek(SeekFrom::Start(from))?;
    let (mut at, mut body) = (from, Vec::new());
    while at < to {
        let Some(length) = next_frame(file, &mut body, check)? else {
            break;
        };
        let Some(frame) = parse(&body, dimensions, at + 8) else {
            break;
        };
        each(frame, length);
        at += length;
    }
    Ok(())
}

/// The next frame's body, and how long the frame is; none where it is not whole.
fn next_frame(file: &mut impl Read, body: &mut Vec<u8>, check: bool) -> Result<Option<u64>, StoreError> {
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
    if !filled(file, body)? || check && crc32fast::hash(body) != crc {
        return Ok(None);
    }
    Ok(Some(8 + u64::from(length)))
}

fn filled(file: &mut impl Read, buffer: &mut [u8]) -> Result<bool, StoreError> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A frame by its body, which begins at byte `at`.
fn parse(body: &[u8], dimensions: usize, at: u64) -> Option<Frame<'_>> {
    let (seq, rest) = body.split_first_chunk::<8>()?;
    let (count, rows) = rest.split_first_chunk::<4>()?;
    let whole = rows.len() == u32::from_le_bytes(*count) as usize * (ROW_HEAD + dimensions);
    whole.then(|| Frame {
        seq: Some(u64::from_le_bytes(*seq)).filter(|seq| *seq > 0),
        dimensions,
        at: at + FRAME_HEAD as u64,
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Codes to take eight of.
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

    /// The seqs of commits with the numbers of their vectors, and where the last ends.
    fn commits(path: &Path, from: u64) -> (Vec<(Seq, Vec<u64>)>, u64) {
        let bytes = fs_err::read(path).unwrap();
        let (mut commits, mut numbers) = (Vec::new(), Vec::new());
        let end = read_frames(path, 8, from, |frame| {
            for (read, at) in frame.vectors() {
                assert_eq!(read, vector(read.passage.0));
                assert_eq!(
                    bytemuck::cast_slice::<i8, u8>(read.codes),
                    &bytes[at as usize..][..8]
                );
                numbers.push(read.passage.0);
            }
            if let Some(seq) = frame.seq {
                commits.push((seq, std::mem::take(&mut numbers)));
            }
        });
        assert!(numbers.is_empty(), "a commit that was not finished");
        (commits, end.unwrap().unwrap())
    }

    #[test]
    fn reads_on_from_where_it_was() {
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
        let places = file.append(7, &vectors).unwrap();
        let mut read = Vec::new();
        read_frames(&path, 8, 0, |frame| {
            read.extend(frame.vectors().map(|(_, at)| at))
        })
        .unwrap();
        assert_eq!(read, places);
        assert_eq!(commits(&path, 0).0, [(7, many)]);
        let whole = fs_err::metadata(&path).unwrap().len();
        VectorFile::open(&path, 8, whole - 1).unwrap();
        assert_eq!(commits(&path, 0), (vec![], HEADER));
    }

    #[test]
    fn parts_belong_to_the_commit_that_ends_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.vec");
        let mut file = VectorFile::create(&path, 8).unwrap();
        file.append_part(&[vector(1)]).unwrap();
        assert_eq!(commits(&path, 0), (vec![], HEADER));
        file.append(4, &[vector(2)]).unwrap();
        assert_eq!(commits(&path, 0).0, [(4, vec![1, 2])]);
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
