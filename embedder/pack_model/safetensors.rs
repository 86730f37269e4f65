//! Reads the safetensors format (<https://huggingface.co/docs/safetensors>): a length, a JSON header that says where
//! each tensor lies, and the tensors. Only what this model needs: little-endian f32.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A file of named tensors.
pub(crate) struct Safetensors {
    header: serde_json::Value,
    data: Vec<u8>,
}

impl Safetensors {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut bytes = fs_err::read(path)?;
        let length = bytes
            .first_chunk()
            .map(|length| u64::from_le_bytes(*length))
            .context("the file is empty")?;
        let start = usize::try_from(length)?.saturating_add(8);
        let header = bytes.get(8..start).context("the file ends in its header")?;
        let header = serde_json::from_slice(header).context("the header is not JSON")?;
        Ok(Self {
            header,
            data: bytes.split_off(start),
        })
    }

    /// The numbers of a tensor in row-major order, which must have `shape`.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let entry = self
            .header
            .get(name)
            .with_context(|| format!("there is no tensor {name}"))?;
        ensure!(entry["dtype"] == "F32", "{name} is not f32");
        ensure!(
            entry["shape"] == serde_json::json!(shape),
            "{name} has the shape {}, not {shape:?}",
            entry["shape"]
        );
        let (start, end): (usize, usize) = serde_json::from_value(entry["data_offsets"].clone())?;
        let bytes = self
            .data
            .get(start..end)
            .with_context(|| format!("the file ends before {name}"))?;
        let values: Vec<f32> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect();
        ensure!(
            values.len() == shape.iter().product::<usize>(),
            "{name} has another length than its shape says"
        );
        Ok(values)
    }
}
