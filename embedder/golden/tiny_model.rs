// Writes tiny models in the sentence-transformers layout. A weight is a function of its tensor's name and its index, the same function
// as in make_tiny.py.

use std::path::Path;

use serde_json::{Value, json};

/// Number type of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "some test crates use only some of the types")]
pub enum Dtype {
    F32,
    F16,
    Bf16,
}

/// A tiny BERT or RoBERTa model.
#[derive(Debug, Clone)]
pub struct TinyModel {
    pub hidden: usize,
    pub heads: usize,
    pub dtype: Dtype,
    pub pooling: &'static str,
    pub roberta: bool,
    pub vocabulary: usize,
    /// Prefix of all tensor names.
    pub tensor_prefix: &'static str,
    /// Another salt gives other weights.
    pub salt: &'static str,
}

pub const LAYERS: usize = 2;
pub const FEED_FORWARD: usize = 192;
pub const POSITIONS: usize = 96;

impl TinyModel {
    /// Writes all files except the tokenizer.
    pub fn write(&self, dir: &Path) {
        fs_err::create_dir_all(dir.join("1_Pooling")).unwrap();
        let json = |name: &str, value: Value| fs_err::write(dir.join(name), value.to_string()).unwrap();
        json("config.json", self.config());
        json(
            "modules.json",
            json!([
                {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
            ]),
        );
        json("1_Pooling/config.json", self.pooling());
        json(
            "sentence_bert_config.json",
            json!({"max_seq_length": 64, "do_lower_case": false}),
        );
        fs_err::write(dir.join("model.safetensors"), self.checkpoint()).unwrap();
    }

    pub fn config(&self) -> Value {
        json!({
            "model_type": if self.roberta { "xlm-roberta" } else { "bert" },
            "hidden_size": self.hidden,
            "intermediate_size": FEED_FORWARD,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": self.heads,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": if self.roberta { POSITIONS + 2 } else { POSITIONS },
            "type_vocab_size": self.types(),
            "layer_norm_eps": 1e-5,
            "hidden_act": "gelu",
            "pad_token_id": if self.roberta { 1 } else { 0 },
        })
    }

    pub fn pooling(&self) -> Value {
        json!({
            "word_embedding_dimension": self.hidden,
            "pooling_mode_cls_token": self.pooling == "cls",
            "pooling_mode_mean_tokens": self.pooling == "mean",
            "pooling_mode_max_tokens": self.pooling == "max",
        })
    }

    fn types(&self) -> usize {
        if self.roberta { 1 } else { 2 }
    }

    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let width = self.hidden;
        let positions = if self.roberta { POSITIONS + 2 } else { POSITIONS };
        let mut tensors = vec![
            (
                "embeddings.word_embeddings.weight".to_owned(),
                vec![self.vocabulary, width],
            ),
            (
                "embeddings.position_embeddings.weight".to_owned(),
                vec![positions, width],
            ),
            (
                "embeddings.token_type_embeddings.weight".to_owned(),
                vec![self.types(), width],
            ),
            ("embeddings.LayerNorm.weight".to_owned(), vec![width]),
            ("embeddings.LayerNorm.bias".to_owned(), vec![width]),
        ];
        for layer in 0..LAYERS {
            let mut linear = |part: &str, inputs, outputs| {
                tensors.push((
                    format!("encoder.layer.{layer}.{part}.weight"),
                    vec![outputs, inputs],
                ));
                tensors.push((format!("encoder.layer.{layer}.{part}.bias"), vec![outputs]));
            };
            for part in [
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
            ] {
                linear(part, width, width);
            }
            linear("attention.output.dense", width, width);
            linear("intermediate.dense", width, FEED_FORWARD);
            linear("output.dense", FEED_FORWARD, width);
            for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
                for kind in ["weight", "bias"] {
                    tensors.push((format!("encoder.layer.{layer}.{part}.{kind}"), vec![width]));
                }
            }
        }
        tensors
    }

    /// The bytes of `model.safetensors`.
    pub fn checkpoint(&self) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, shape) in self.tensors() {
            let start = data.len();
            let salted = format!("{}{name}", self.salt);
            for place in 0..shape.iter().product() {
                let drawn = number(&salted, place);
                let value = if name.ends_with("LayerNorm.weight") {
                    1.0 + drawn * 0.125
                } else if name.ends_with("bias") {
                    drawn * 0.125
                } else if name.contains("embeddings") {
                    drawn
                } else {
                    drawn * 0.1875
                };
                match self.dtype {
                    Dtype::F32 => data.extend(value.to_le_bytes()),
                    Dtype::F16 => data.extend(f16(value).to_le_bytes()),
                    Dtype::Bf16 => data.extend(bf16(value).to_le_bytes()),
                }
            }
            let dtype = match self.dtype {
                Dtype::F32 => "F32",
                Dtype::F16 => "F16",
                Dtype::Bf16 => "BF16",
            };
            header.insert(
                format!("{}{name}", self.tensor_prefix),
                json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]}),
            );
        }
        let header = Value::Object(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend(data);
        bytes
    }
}

/// A number between -1 and 1: splitmix64, seeded with the FNV-1a hash of the name, at index `place`.
fn number(name: &str, place: usize) -> f32 {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut z = seed.wrapping_add((place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Rounds to bf16; ties go to even.
fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// Rounds a value below 2 to f16; ties go to even.
fn f16(value: f32) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let size = f64::from(value.abs());
    // Below 2⁻¹⁴ the spacing stays at 2⁻²⁴.
    let exponent = (size.log2().floor() as i32).max(-14);
    let unit = 2_f64.powi(exponent - 10);
    let fraction = (size / unit).round_ties_even() as u32;
    sign | (fraction + ((exponent + 14) as u32 * 1024)) as u16
}
