//! Reads a model's sizes, pooling and token limit from its settings files, and refuses models that the encoder cannot run.

use serde::Deserialize;

use super::files::Files;
use crate::encoder::shape::Shape;
use crate::error::EmbedError;
use crate::model::Pooling;

/// The settings of a model.
pub(super) struct Settings {
    pub(super) shape: Shape,
    /// Leading rows of the position table that no text uses.
    pub(super) first_position: usize,
    pub(super) pooling: Pooling,
    /// Tokens of the longest text.
    pub(super) max_tokens: usize,
    /// Whether a `vocab.txt` has only lower-case pieces.
    pub(super) lower_case: bool,
}

/// `config.json`
#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    layer_norm_eps: f32,
    hidden_act: String,
    position_embedding_type: Option<String>,
    pad_token_id: Option<usize>,
}

/// An entry of `modules.json`.
#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

/// `config.json` in the folder of the pooling module.
#[derive(Deserialize)]
struct PoolingConfig {
    pooling_mode: Option<String>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    include_prompt: Option<bool>,
}

/// `sentence_bert_config.json`
#[derive(Deserialize, Default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

/// `tokenizer_config.json`. The length is a float because models without a limit have 10³⁰ here.
#[derive(Deserialize, Default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
    do_lower_case: Option<bool>,
}

impl Settings {
    /// Reads and checks the settings. Also points `files` at the encoder's folder that `modules.json` names.
    pub(super) fn read(files: &mut Files) -> Result<Self, EmbedError> {
        let pooling = read_pooling(files)?;
        let unusable = |reason: String| EmbedError::unusable(files.dir(), reason);
        let config: Config = files.encoder_json("config.json")?.ok_or_else(|| {
            unusable(
                "has no config.json: name the folder that holds config.json and model.safetensors".into(),
            )
        })?;
        let kind = config.model_type.as_deref().unwrap_or("bert");
        // RoBERTa is BERT, except that its positions start after the padding id.
        let first_position = match kind {
            "bert" => 0,
            "roberta" | "xlm-roberta" => config.pad_token_id.unwrap_or(1).saturating_add(1),
            _ => {
                return Err(unusable(format!(
                    "is a model of type {kind}: only bert, roberta and xlm-roberta are supported"
                )));
            }
        };
        if config.hidden_act != "gelu" {
            let activation = &config.hidden_act;
            return Err(unusable(format!(
                "has the activation {activation} (hidden_act in config.json): only gelu, the exact form, is supported"
            )));
        }
        if let Some(kind) = config.position_embedding_type.filter(|kind| kind != "absolute") {
            return Err(unusable(format!(
                "has {kind} positions (position_embedding_type in config.json): only absolute positions are supported"
            )));
        }
        let shape = Shape {
            hidden: config.hidden_size,
            feed_forward: config.intermediate_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            vocabulary: config.vocab_size,
            positions: config.max_position_embeddings.saturating_sub(first_position),
            norm_epsilon: config.layer_norm_eps,
        };
        shape
            .check()
            .map_err(|reason| unusable(format!("has unsupported sizes in config.json: {reason}")))?;
        let sentence: SentenceConfig = files
            .encoder_json("sentence_bert_config.json")?
            .unwrap_or_default();
        let tokenizer: TokenizerConfig = files.encoder_json("tokenizer_config.json")?.unwrap_or_default();
        let max_tokens = sentence
            .max_seq_length
            .or_else(|| tokenizer.model_max_length.map(|length| length as usize))
            .unwrap_or(shape.positions)
            .min(shape.positions);
        Ok(Self {
            shape,
            first_position,
            pooling,
            max_tokens,
            // In sentence-transformers, true forces lower case, but false leaves the choice to the tokenizer.
            lower_case: sentence.do_lower_case == Some(true) || tokenizer.do_lower_case.unwrap_or(true),
        })
    }
}

/// Reads `modules.json` and the pooling settings it refers to. A bare encoder without them gets mean pooling.
pub(super) fn read_pooling(files: &mut Files) -> Result<Pooling, EmbedError> {
    let Some(modules): Option<Vec<Module>> = files.json("modules.json")? else {
        return match files.json::<PoolingConfig>("1_Pooling/config.json")? {
            Some(config) => parse_pooling(files, &config),
            None => Ok(Pooling::Mean),
        };
    };
    let mut pooling = None;
    for (place, module) in modules.iter().enumerate() {
        let name = module.r#type.rsplit('.').next().unwrap_or_default();
        match (place, name) {
            (0, "Transformer") => files.set_encoder_folder(&module.path)?,
            (1, "Pooling") => {
                let path = format!("{}/config.json", module.path);
                let config: Option<PoolingConfig> = files.json(path.trim_start_matches('/'))?;
                let missing = || {
                    EmbedError::unusable(files.dir(), format!("has no {path}: download the complete model"))
                };
                pooling = Some(parse_pooling(files, &config.ok_or_else(missing)?)?);
            }
            (2, "Normalize") => {}
            _ => {
                return Err(EmbedError::unusable(
                    files.dir(),
                    format!(
                        "has the module {name} at place {place} of modules.json: only Transformer, Pooling and \
                         Normalize, in this order, are supported"
                    ),
                ));
            }
        }
    }
    pooling.ok_or_else(|| {
        EmbedError::unusable(
            files.dir(),
            "has no Pooling module in modules.json: only models with one are supported",
        )
    })
}

fn parse_pooling(files: &Files, config: &PoolingConfig) -> Result<Pooling, EmbedError> {
    let unusable = |problem: &str| {
        let reason =
            format!("has {problem} in its Pooling settings: only mean alone or cls alone is supported");
        Err(EmbedError::unusable(files.dir(), reason))
    };
    if config.include_prompt == Some(false) {
        return unusable("include_prompt = false");
    }
    let flags = [
        (config.pooling_mode_mean_tokens, "mean"),
        (config.pooling_mode_cls_token, "cls"),
        (config.pooling_mode_max_tokens, "max"),
        (config.pooling_mode_mean_sqrt_len_tokens, "mean_sqrt_len"),
        (config.pooling_mode_weightedmean_tokens, "weightedmean"),
        (config.pooling_mode_lasttoken, "lasttoken"),
    ];
    let mut modes: Vec<&str> = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    if let Some(mode) = &config.pooling_mode {
        modes = vec![mode];
    }
    match modes.as_slice() {
        [] => unusable("no mode"),
        [mode] => mode.parse().or_else(|_| unusable(mode)),
        several => unusable(&several.join(" and ")),
    }
}
