//! The description of a setting: name, allowed values, scope, trust and cost.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use autorag_query::RerankApi;
use autorag_store::VectorIndex;
use serde::Serialize;
use toml::Value;

use super::table::{LogFormat, Provider, Watch};

/// Prefix of the environment variables that hold settings.
pub(super) const ENV_PREFIX: &str = "AUTORAG_";

/// The description of a setting. [`super::SETTINGS`] lists all settings.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Section and key, such as `server.addr`.
    pub name: &'static str,
    /// How the text of its environment variable is parsed.
    pub form: Form,
    /// The allowed values, in words.
    pub values: &'static str,
    /// What it does: the first line of its documentation.
    pub summary: &'static str,
    /// The value in effect while the setting is unset, if there is one.
    pub unset: Option<&'static str>,
    /// The command-line flag that sets it.
    pub flag: Option<&'static str>,
    /// What the value applies to.
    pub scope: Scope,
    /// Who may set it.
    pub trust: Trust,
    /// What a change costs an existing index.
    pub cost: Cost,
}

/// How the text of an environment variable is parsed into a TOML value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text, unchanged.
    Text,
    /// A whole number.
    Number,
    /// A number with a decimal point.
    Decimal,
    /// `true`, `false`, `1` or `0`.
    Switch,
    /// Values separated by commas.
    List,
}

/// What a setting applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The process: one value for all instances.
    Process,
    /// One instance: each may have a value of its own.
    Instance,
}

/// Who may set a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Only the person who runs the program. The value names network addresses, keys or paths outside the sources, or bounds
    /// resources.
    Operator,
    /// The author of an indexed folder as well. The value only selects that folder's files or shapes its passages and hits.
    Folder,
}

/// What a changed value costs an existing index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Nothing; the next start or run uses it.
    Free,
    /// Every document is chunked again, and only changed passages are re-embedded.
    Rechunk,
    /// Every passage is re-embedded.
    Reembed,
}

impl Setting {
    /// Name of its environment variable, such as `AUTORAG_SERVER_ADDR`.
    pub fn variable(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Parses the text of its environment variable.
    ///
    /// # Errors
    /// A message that names the expected form.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let wrong = |expected: &str| format!("{text:?} is not {expected}");
        Ok(match self.form {
            Form::Text => Value::String(text.to_owned()),
            Form::Number => Value::Integer(text.trim().parse().map_err(|_| wrong("a whole number"))?),
            Form::Decimal => Value::Float(text.trim().parse().map_err(|_| wrong("a number"))?),
            Form::Switch => match text.trim() {
                "true" | "1" => Value::Boolean(true),
                "false" | "0" => Value::Boolean(false),
                _ => return Err(wrong("true or false")),
            },
            Form::List => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.into()))
                .collect::<Vec<_>>()
                .into(),
        })
    }
}

/// A type that a setting can have.
pub(super) trait SettingType {
    /// How the text of an environment variable is parsed into this type.
    const FORM: Form;
}

macro_rules! forms {
    ($($form:ident: $($type:ty),+;)+) => {
        $($(impl SettingType for $type { const FORM: Form = Form::$form; })+)+
    };
}

forms! {
    Text: String, PathBuf, SocketAddr, Provider, RerankApi, VectorIndex, Watch, LogFormat;
    Number: u8, u64, usize;
    Decimal: f32;
    Switch: bool;
    List: Vec<String>;
}

impl<T: SettingType> SettingType for Option<T> {
    const FORM: Form = T::FORM;
}

/// A check that a number is in `range`. `hint` explains the bounds in the error.
pub(super) fn within<T: PartialOrd + std::fmt::Display>(
    range: RangeInclusive<T>,
    hint: &str,
) -> impl Fn(&T) -> Result<(), String> {
    move |value| {
        if range.contains(value) {
            return Ok(());
        }
        let (least, most) = (range.start(), range.end());
        Err(format!("{value} is not between {least} and {most}{hint}"))
    }
}

/// A check that a number is not below `least`.
pub(super) fn at_least<T: PartialOrd + std::fmt::Display>(least: T) -> impl Fn(&T) -> Result<(), String> {
    move |value| {
        if *value >= least {
            Ok(())
        } else {
            Err(format!("{value} is below the minimum, {least}"))
        }
    }
}

/// The server has no authentication, so only this machine may reach it.
pub(super) fn loopback(addr: &SocketAddr) -> Result<(), String> {
    if addr.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "{addr} is not a loopback address; the server has no authentication, so it listens on 127.0.0.1 or [::1] only \
         (to reach it from elsewhere, put an authenticating proxy in front)"
    ))
}
