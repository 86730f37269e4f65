//! The shared library of ONNX Runtime, loaded once in a process.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use crate::error::EmbedError;

/// The one environment that a process may have, with the library that it is of.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The environment that sessions are made in. The first call loads the library; what failed may be tried again.
///
/// # Errors
/// `UnusableModel`, naming the library, where it is missing, too old or another one.
pub(super) fn environment(library: Option<&Path>) -> Result<Environment, EmbedError> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let path = match library {
        // Looked at first: what the loader says of a missing file does not say whose setting it is.
        Some(path) if !path.is_file() => {
            return Err(EmbedError::unusable(
                path,
                "is not there: set ORT_DYLIB_PATH to the shared library of ONNX Runtime, libonnxruntime.so",
            ));
        }
        Some(path) => path.to_owned(),
        None => PathBuf::from(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")),
    };
    let unusable = |error: String| {
        let reason = format!(
            "cannot be used as ONNX Runtime ({error}): set ORT_DYLIB_PATH to the shared library of version 1.{} or later",
            ort::MINOR_VERSION
        );
        EmbedError::unusable(&path, reason)
    };
    let builder = ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
    let loaded = builder
        .with_name("autorag")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(environment.insert(loaded).clone())
}
