//! What a directory's settings say of the model: its sizes, its pooling, its window.

use serde::Deserialize;

use super::files::Files;
use crate::encoder::shape::Shape;
use crate::error::EmbedError;
use crate::model::Pooling;

/// What is read of the settings.
pub(super) struct Settings {
    pub(super) shape: Shape,
    /// Rows of the table of positions that no text uses.
    pub(super) first_position: usize,
    pub(super) pooling: Pooling,
    /// Tokens of the longest text.
    pub(super) max_tokens: usize,
    /// Whether a `vocab.txt` knows small letters only.
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

/// `config.json` of the pooling.
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

/// `tokenizer_config.json`. The length is a float: where there is no limit, it is 10³⁰.
#[derive(Deserialize, Default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
    do_lower_case: Option<bool>,
}

impl Settings {
    /// Reads and checks them; `files` looks for the encoder's files where `modules.json` says afterwards.
    pub(super) fn read(files: &mut Files) -> Result<Self, EmbedError> {
        let pooling = pooling(files)?;
        let unusable = |reason: String| EmbedError::unusable(files.dir(), reason);
        let config: Config = files.encoder_json("config.json")?.ok_or_else(|| {
            unusable(
                "has no config.json: name the folder that holds config.json and model.safetensors".into(),
            )
        })?;
        let kind = config.model_type.as_deref().unwrap_or("bert");
        // RoBERTa counts positions from after that of its padding, and is BERT otherwise.
        let first_position = match kind {
            "bert" => 0,
            "roberta" | "xlm-roberta" => config.pad_token_id.unwrap_or(1).saturating_add(1),
            _ => {
                return Err(unusable(format!(
                    "is a model of type {kind}: only bert, roberta and xlm-roberta can be computed"
                )));
            }
        };
        if config.hidden_act != "gelu" {
            let found = &config.hidden_act;
            return Err(unusable(format!(
                "has the activation {found} (hidden_act in config.json): only gelu, the exact one, can be computed"
            )));
        }
        if let Some(found) = config.position_embedding_type.filter(|kind| kind != "absolute") {
            return Err(unusable(format!(
                "has positions of type {found} (position_embedding_type in config.json): only absolute ones can be \
                 computed"
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
        shape.check().map_err(|reason| {
            unusable(format!(
                "cannot be computed with the sizes in config.json: {reason}"
            ))
        })?;
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
            // In sentence-transformers, true asks for it and false for nothing: the tokenizer decides.
            lower_case: sentence.do_lower_case == Some(true) || tokenizer.do_lower_case.unwrap_or(true),
        })
    }
}

/// Reads `modules.json`, and the pooling that it leads to. A model without one is an encoder alone, whose tokens are averaged.
pub(super) fn pooling(files: &mut Files) -> Result<Pooling, EmbedError> {
    let Some(modules): Option<Vec<Module>> = files.json("modules.json")? else {
        return match files.json::<PoolingConfig>("1_Pooling/config.json")? {
            Some(config) => pooling_of(files, &config),
            None => Ok(Pooling::Mean),
        };
    };
    let mut pooling = None;
    for (place, module) in modules.iter().enumerate() {
        let name = module.r#type.rsplit('.').next().unwrap_or_default();
        match (place, name) {
            (0, "Transformer") => files.look_for_encoder_in(&module.path)?,
            (1, "Pooling") => {
                let path = format!("{}/config.json", module.path);
                let config: Option<PoolingConfig> = files.json(path.trim_start_matches('/'))?;
                let missing =
                    || EmbedError::unusable(files.dir(), format!("has no {path}: get the whole model"));
                pooling = Some(pooling_of(files, &config.ok_or_else(missing)?)?);
            }
            (2, "Normalize") => {}
            _ => {
                return Err(EmbedError::unusable(
                    files.dir(),
                    format!(
                        "has the module {name} at place {place} of modules.json: only Transformer, Pooling and \
                         Normalize, in that order, can be computed"
                    ),
                ));
            }
        }
    }
    pooling.ok_or_else(|| {
        EmbedError::unusable(
            files.dir(),
            "names no Pooling in modules.json: only models with one can be computed",
        )
    })
}

fn pooling_of(files: &Files, config: &PoolingConfig) -> Result<Pooling, EmbedError> {
    let unusable = |what: &str| {
        let reason =
            format!("has {what} in the settings of its Pooling: only mean or cls alone can be computed");
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
    let mut named: Vec<&str> = flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect();
    if let Some(mode) = &config.pooling_mode {
        named = vec![mode];
    }
    match named.as_slice() {
        [] => unusable("no mode"),
        [one] => Pooling::named(one).map_or_else(|| unusable(one), Ok),
        several => unusable(&several.join(" and ")),
    }
}
