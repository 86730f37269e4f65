//! `autorag config`

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::options::{CommonFlags, WalkFlags};
use crate::config::{SETTINGS, Setting};

#[derive(Debug, Args)]
pub struct Config {
    /// Print one JSON object per line, with allowed values, flag, scope and cost of a change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonFlags,
}

impl Config {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let loaded = self.common.setup(&WalkFlags::default(), Vec::new())?.loaded;
        let mut out = std::io::stdout().lock();
        for setting in SETTINGS {
            let value = loaded.value(setting.name);
            let origin = loaded.origin(setting.name);
            if self.json {
                serde_json::to_writer(&mut out, &describe(setting, value.as_ref(), origin))?;
                writeln!(out)?;
                continue;
            }
            let shown = match (&value, setting.unset) {
                (Some(value), _) => value.to_string(),
                (None, Some(instead)) => format!("not set ({instead})"),
                (None, None) => "not set".to_owned(),
            };
            writeln!(out, "{:<30} {shown:<34} {origin}", setting.name)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(setting: &Setting, value: Option<&toml::Value>, origin: &str) -> serde_json::Value {
    json!({
        "setting": setting.name,
        "value": value,
        "origin": origin,
        "summary": setting.summary.trim(),
        "values": setting.values.replace('`', ""),
        "unset": setting.unset,
        "variable": setting.variable(),
        "flag": setting.flag,
        "scope": setting.scope,
        "set_by": setting.trust,
        "cost": setting.cost,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_of_settings_exist() {
        let command = super::super::Arguments::command();
        let flags: Vec<&str> = command
            .get_subcommands()
            .flat_map(|command| command.get_arguments().filter_map(|argument| argument.get_long()))
            .collect();
        for flag in SETTINGS.iter().filter_map(|setting| setting.flag) {
            assert!(flags.contains(&flag.trim_start_matches("--")), "{flag}");
        }
    }
}
