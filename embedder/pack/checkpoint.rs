//! Reads the tensors of a published model in the safetensors format (<https://huggingface.co/docs/safetensors>).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata};

use super::reference::{POSITIONS, WORDS};
use crate::error::EmbedError;

/// Longest header in bytes, as in the format's own library.
const MAX_HEADER_LENGTH: u64 = 100_000_000;
/// Buffer for reading a tensor row by row, in bytes.
const BUFFER: usize = 1 << 20;

/// A file of named tensors. A tensor is read into memory only on request.
pub struct Checkpoint {
    path: PathBuf,
    file: File,
    length: u64,
    /// Offset of the first tensor.
    data: u64,
    metadata: Metadata,
    /// The model's own prefix of BERT's tensor names, such as `bert.`.
    prefix: String,
    /// The first row of the position table that a text uses. RoBERTa skips the rows up to its padding id.
    pub(super) first_position: usize,
}

impl Checkpoint {
    /// Opens a file and checks its header, so that every tensor lies within the file.
    ///
    /// # Errors
    /// `UnusableModel` if the file cannot be read or is not in this format.
    pub fn open(path: &Path) -> Result<Self, EmbedError> {
        let unusable = |reason: String| EmbedError::unusable(path, reason);
        let mut file = fs_err::File::open(path)
            .map_err(|error| {
                unusable(format!(
                    "cannot be opened ({}): download the model again",
                    error.kind()
                ))
            })?
            .into_parts()
            .0;
        let (length, header) = read_header(&mut file).map_err(|error| {
            unusable(format!(
                "cannot be read ({}): download the model again",
                error.kind()
            ))
        })?;
        let data = 8 + header.len() as u64;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| {
            unusable(format!(
                "is not a complete safetensors file ({error}): download the model again"
            ))
        })?;
        let end = data.saturating_add(metadata.data_len() as u64);
        if end != length {
            return Err(unusable(format!(
                "is not a complete safetensors file ({length} bytes where its header says {end}): download the model again"
            )));
        }
        // The word embedding's name reveals the prefix, because its end is the same in all BERT models.
        let mut prefixes = metadata
            .tensors()
            .into_keys()
            .filter_map(|name| name.strip_suffix(WORDS).map(str::to_owned));
        let prefix = prefixes.next().ok_or_else(|| {
            unusable(format!(
                "has no tensor {WORDS}: only BERT-shaped encoders are supported"
            ))
        })?;
        if prefixes.next().is_some() {
            return Err(unusable(format!(
                "has several tensors {WORDS}: only single encoders are supported"
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

    /// Sets the first row of the position table that a text uses.
    pub fn with_first_position(self, first_position: usize) -> Self {
        Self {
            first_position,
            ..self
        }
    }

    /// Checks that the file can hold a model of `packed` bytes. Without this check, wrong sizes in config.json would allocate memory
    /// before a missing tensor shows the mistake. Packed weights are never twice as long as 16-bit weights.
    ///
    /// # Errors
    /// `UnusableModel` if the file is too short.
    pub(super) fn check_length(&self, packed: usize) -> Result<(), EmbedError> {
        let length = self.length;
        if (packed / 2) as u64 <= length {
            return Ok(());
        }
        let reason = format!(
            "is {length} bytes long, too short for the sizes in config.json ({packed} bytes when packed): download the model again"
        );
        Err(EmbedError::unusable(&self.path, reason))
    }

    /// Number of positions that a text can use; zero without a position table.
    pub fn positions(&self) -> usize {
        self.rows(POSITIONS)
            .unwrap_or_default()
            .saturating_sub(self.first_position)
    }

    /// Reads a tensor of `shape`, in row-major order.
    ///
    /// # Errors
    /// `UnusableModel` if it is missing, has another shape, or has values that are not finite.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EmbedError> {
        let (dtype, at, length) = self.locate(name, shape)?;
        let mut bytes = vec![0; length];
        self.reader_at(at)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|error| self.unreadable(name, &error))?;
        let numbers = to_f32(dtype, &bytes);
        if numbers.iter().all(|number| number.is_finite()) {
            Ok(numbers)
        } else {
            Err(self.not_finite(name))
        }
    }

    /// Reads a tensor of `rows` rows of `width` and calls `each` with the index and values of every row. Memory holds one row at a
    /// time.
    pub(crate) fn for_each_row(
        &self,
        name: &str,
        [rows, width]: [usize; 2],
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), EmbedError> {
        let (dtype, at, length) = self.locate(name, &[rows, width])?;
        let file = self
            .reader_at(at)
            .map_err(|error| self.unreadable(name, &error))?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        let mut bytes = vec![0; length / rows.max(1)];
        for number in 0..rows {
            file.read_exact(&mut bytes)
                .map_err(|error| self.unreadable(name, &error))?;
            let row = to_f32(dtype, &bytes);
            if !row.iter().all(|number| number.is_finite()) {
                return Err(self.not_finite(name));
            }
            each(number, &row);
        }
        Ok(())
    }

    /// Number of rows of a two-dimensional tensor.
    pub(crate) fn rows(&self, name: &str) -> Option<usize> {
        let info = self.metadata.info(&format!("{}{name}", self.prefix))?;
        info.shape.first().copied()
    }

    /// Number type, offset and length in bytes of a tensor of `shape`.
    fn locate(&self, name: &str, shape: &[usize]) -> Result<(Dtype, u64, usize), EmbedError> {
        let name = format!("{}{name}", self.prefix);
        let unusable = |reason: String| EmbedError::unusable(&self.path, reason);
        let info = self
            .metadata
            .info(&name)
            .ok_or_else(|| unusable(format!("has no tensor {name}: it does not match config.json")))?;
        if info.shape != shape {
            let actual = &info.shape;
            return Err(unusable(format!(
                "has {name} of shape {actual:?} where config.json says {shape:?}"
            )));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            let actual = info.dtype;
            return Err(unusable(format!(
                "has {name} of type {actual:?}: only F32, F16 and BF16 are supported"
            )));
        }
        // `open` has checked that the range lies within the file and matches the shape.
        let (start, end) = info.data_offsets;
        Ok((info.dtype, self.data + start as u64, end - start))
    }

    /// The file, positioned at byte `at`. Must not be used by two threads at once, because they share the position.
    fn reader_at(&self, at: u64) -> io::Result<&File> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at))?;
        Ok(file)
    }

    fn unreadable(&self, name: &str, error: &io::Error) -> EmbedError {
        let reason = format!(
            "cannot be read at {name} ({}): download the model again",
            error.kind()
        );
        EmbedError::unusable(&self.path, reason)
    }

    fn not_finite(&self, name: &str) -> EmbedError {
        EmbedError::unusable(
            &self.path,
            format!("has a value in {name} that is not finite: download the model again"),
        )
    }
}

/// Reads the header. Also returns the length of the file.
fn read_header(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    let file_length = file.metadata()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER_LENGTH || length > file_length {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header)?;
    Ok((file_length, header))
}

fn to_f32(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let halves = || bytes.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two));
    match dtype {
        Dtype::F16 => halves().map(f16_to_f32).collect(),
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

/// Converts an f16 (IEEE 754 binary16) exactly.
fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Subnormal: one unit of the fraction is 2⁻²⁴.
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
    fn every_f16_is_converted_exactly() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let expected = match exponent {
                0 => sign * fraction * 2_f64.powi(-14),
                0x1f if fraction == 0.0 => sign * f64::INFINITY,
                0x1f => f64::NAN,
                _ => sign * (1.0 + fraction) * 2_f64.powi(exponent - 15),
            };
            let actual = f64::from(f16_to_f32(bits));
            assert!(
                actual == expected || (actual.is_nan() && expected.is_nan()),
                "{bits:#x}"
            );
        }
    }

    #[test]
    fn the_error_for_an_invalid_file_names_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let error_for = |bytes: &[u8]| {
            fs_err::write(&path, bytes).unwrap();
            let error = Checkpoint::open(&path).err().unwrap().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            error
        };
        assert!(Checkpoint::open(&path).is_err());
        error_for(b"");
        error_for(&[0xff; 16]);
        let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend([0; 4]);
        assert!(error_for(&bytes).contains(WORDS));
        assert!(error_for(&bytes[..bytes.len() - 1]).contains("complete safetensors"));
    }
}
