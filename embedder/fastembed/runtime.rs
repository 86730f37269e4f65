//! Loads the shared library of ONNX Runtime, once per process.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use crate::error::EmbedError;

/// The environment of the loaded library. A process can have only one.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The environment for sessions. The first call loads the library; a failed call can be repeated.
///
/// # Errors
/// `OnnxRuntime` if the library is missing, too old or not ONNX Runtime.
pub(super) fn environment(library: Option<&Path>) -> Result<Environment, EmbedError> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let path = match library {
        // Checked here, because the loader's message does not name the missing file.
        Some(path) if !path.is_file() => {
            return Err(EmbedError::OnnxRuntime {
                library: path.to_owned(),
                reason: "does not exist: give the path of ONNX Runtime's shared library".into(),
            });
        }
        Some(path) => path.to_owned(),
        None => PathBuf::from(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")),
    };
    let unusable = |error: String| EmbedError::OnnxRuntime {
        library: path.clone(),
        reason: format!(
            "cannot be used as ONNX Runtime ({error}): use the shared library of version 1.{} or later",
            ort::MINOR_VERSION
        ),
    };
    let builder = ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
    let loaded = builder
        .with_name("autorag")
        .with_telemetry(false)
        .build()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(environment.insert(loaded).clone())
}
