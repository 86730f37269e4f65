//! The tensors of a published model, in the safetensors format (<https://huggingface.co/docs/safetensors>).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata};

use super::reference::POSITIONS;
use crate::error::EmbedError;

/// By the end of its name the word embedding is known, whatever a model puts before the names of its tensors.
const WORDS: &str = "embeddings.word_embeddings.weight";

/// Longest header that is read, bytes, as the format's own library has it.
const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes read at once where a tensor is taken row by row.
const BUFFER: usize = 1 << 20;

/// A file of named tensors, of which only what is asked for is read into memory.
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    length: u64,
    /// Where the tensors begin.
    data: u64,
    metadata: Metadata,
    /// What stands before the names that BERT gives its tensors, such as `bert.`.
    prefix: String,
    /// The first position that a text uses: RoBERTa counts from its padding, and leaves those before it out.
    pub(super) first_position: usize,
}

impl Checkpoint {
    /// Opens a file. Its header is checked whole, so that no tensor lies outside of it.
    ///
    /// # Errors
    /// `UnusableModel` where the file cannot be read or is none of this format.
    pub fn open(path: &Path) -> Result<Self, EmbedError> {
        let unusable = |reason: String| EmbedError::unusable(path, reason);
        let mut file = fs_err::File::open(path)
            .map_err(|error| {
                unusable(format!(
                    "cannot be opened ({}): get the model again",
                    error.kind()
                ))
            })?
            .into_parts()
            .0;
        let (length, header) = header(&mut file)
            .map_err(|error| unusable(format!("cannot be read ({}): get the model again", error.kind())))?;
        let data = 8 + header.len() as u64;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| {
            unusable(format!(
                "is not a whole safetensors file ({error}): get the model again"
            ))
        })?;
        let end = data.saturating_add(metadata.data_len() as u64);
        if end != length {
            return Err(unusable(format!(
                "is not a whole safetensors file ({length} bytes where its header says {end}): get the model again"
            )));
        }
        let mut prefixes = metadata
            .tensors()
            .into_keys()
            .filter_map(|name| name.strip_suffix(WORDS).map(str::to_owned));
        let prefix = prefixes.next().ok_or_else(|| {
            unusable(format!(
                "has no tensor {WORDS}: only BERT-shaped encoders can be used"
            ))
        })?;
        if prefixes.next().is_some() {
            return Err(unusable(format!(
                "has several tensors {WORDS}: only single encoders can be used"
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            data,
            metadata,
            prefix,
            first_position: 0,
        })
    }

    /// Has texts begin at this position.
    pub fn with_first_position(self, first_position: usize) -> Self {
        Self {
            first_position,
            ..self
        }
    }

    /// Refuses a file that cannot hold a model whose packed weights are so long: what only config.json knows would take memory
    /// first and be missed after. Packed weights are never twice as long as those of 16 bits.
    ///
    /// # Errors
    /// `UnusableModel` where the file is too short.
    pub(super) fn check_length(&self, packed: usize) -> Result<(), EmbedError> {
        let length = self.length;
        if (packed / 2) as u64 <= length {
            return Ok(());
        }
        let reason = format!(
            "is {length} bytes long, too short for the sizes in config.json, which come to {packed} packed: get the model again"
        );
        Err(EmbedError::unusable(&self.path, reason))
    }

    /// How many positions a text may use, as far as the file has a table of them.
    pub fn positions(&self) -> usize {
        self.rows(POSITIONS)
            .unwrap_or_default()
            .saturating_sub(self.first_position)
    }

    /// The numbers of a tensor in row-major order, which must have `shape`.
    ///
    /// # Errors
    /// `UnusableModel` where it is missing, has another shape, or numbers that are none.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EmbedError> {
        let (dtype, at, length) = self.place(name, shape)?;
        let mut bytes = vec![0; length];
        self.reader_at(at)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|error| self.unread(name, &error))?;
        let numbers = numbers(dtype, &bytes);
        if numbers.iter().all(|number| number.is_finite()) {
            Ok(numbers)
        } else {
            Err(self.not_finite(name))
        }
    }

    /// Calls `each` with every row of a tensor of `rows` rows, `width` wide, so that memory holds one of them.
    pub(crate) fn for_each_row(
        &self,
        name: &str,
        [rows, width]: [usize; 2],
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), EmbedError> {
        let (dtype, at, length) = self.place(name, &[rows, width])?;
        let file = self.reader_at(at).map_err(|error| self.unread(name, &error))?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        let mut bytes = vec![0; length / rows.max(1)];
        for number in 0..rows {
            file.read_exact(&mut bytes)
                .map_err(|error| self.unread(name, &error))?;
            let row = numbers(dtype, &bytes);
            if !row.iter().all(|number| number.is_finite()) {
                return Err(self.not_finite(name));
            }
            each(number, &row);
        }
        Ok(())
    }

    /// The number of rows of a tensor of two dimensions.
    pub(crate) fn rows(&self, name: &str) -> Option<usize> {
        let info = self.metadata.info(&format!("{}{name}", self.prefix))?;
        info.shape.first().copied()
    }

    /// The kind of a tensor's numbers, which must have `shape`, where it begins, and how long it is.
    fn place(&self, name: &str, shape: &[usize]) -> Result<(Dtype, u64, usize), EmbedError> {
        let name = format!("{}{name}", self.prefix);
        let unusable = |reason: String| EmbedError::unusable(&self.path, reason);
        let info = self
            .metadata
            .info(&name)
            .ok_or_else(|| unusable(format!("has no tensor {name}: it does not fit config.json")))?;
        if info.shape != shape {
            let found = &info.shape;
            return Err(unusable(format!(
                "{name} has the shape {found:?} where config.json says {shape:?}"
            )));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let found = info.dtype;
            return Err(unusable(format!(
                "{name} is of type {found:?}: only F32, F16 and BF16 can be read"
            )));
        }
        // Within the file and as long as the shape has it, as the header was found to be when it was opened.
        let (start, end) = info.data_offsets;
        Ok((info.dtype, self.data + start as u64, end - start))
    }

    /// The file, from byte `at` on. One thread reads it.
    fn reader_at(&self, at: u64) -> io::Result<&File> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at))?;
        Ok(file)
    }

    fn unread(&self, name: &str, error: &io::Error) -> EmbedError {
        let reason = format!("cannot be read at {name} ({}): get the model again", error.kind());
        EmbedError::unusable(&self.path, reason)
    }

    fn not_finite(&self, name: &str) -> EmbedError {
        EmbedError::unusable(
            &self.path,
            format!("{name} holds a value that is no number: get the model again"),
        )
    }
}

/// The length of a file, and its header.
fn header(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    let file_length = file.metadata()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER || length > file_length {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    Ok((file_length, header))
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let halves = || bytes.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two));
    match dtype {
        Dtype::F16 => halves().map(half).collect(),
        Dtype::BF16 => halves()
            .map(|bits| f32::from_bits(u32::from(bits) << 16))
            .collect(),
        _ => bytes
            .as_chunks()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect(),
    }
}

/// A number of 16 bits (IEEE 754 binary16) in 32.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Below the normal numbers, a unit of the fraction is 2⁻²⁴.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        0x1f => 0xff << 23 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn halves_are_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let expected = match exponent {
                0 => sign * fraction * 2_f64.powi(-14),
                0x1f if fraction == 0.0 => sign * f64::INFINITY,
                0x1f => f64::NAN,
                _ => sign * (1.0 + fraction) * 2_f64.powi(exponent - 15),
            };
            let found = f64::from(half(bits));
            assert!(
                found == expected || (found.is_nan() && expected.is_nan()),
                "{bits:#x}"
            );
        }
    }

    #[test]
    fn what_is_no_checkpoint_is_refused_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let refused = |bytes: &[u8]| {
            fs_err::write(&path, bytes).unwrap();
            let error = Checkpoint::open(&path).err().unwrap().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            error
        };
        assert!(Checkpoint::open(&path).is_err());
        refused(b"");
        refused(&[0xff; 16]);
        let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend([0; 4]);
        assert!(refused(&bytes).contains(WORDS));
        assert!(refused(&bytes[..bytes.len() - 1]).contains("whole"));
    }
}
