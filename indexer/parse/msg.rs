//! Outlook messages: properties in the streams of a compound file (MS-OXMSG).

use std::io::{Cursor, Read};

use autorag_store::Metadata;
use cfb::CompoundFile;

use super::composer::{Composer, one_line};
use super::nested::Budget;
use super::{Parsed, Refusal, decode, html};

/// Most bytes read of one stream.
const MAX_STREAM: u64 = 64 << 20;

// Ids of message properties, as they occur in stream names.
const SUBJECT: &str = "0037";
const BODY: &str = "1000";
const HTML: &str = "1013";
const SENDER: &str = "0C1A";
const SENDER_ADDRESS: &str = "5D01";
const TO: &str = "0E04";
const CC: &str = "0E03";
const HEADERS: &str = "007D";
const ATTACHED: &str = "3701";
const ATTACHED_NAME: &str = "3707";
const ATTACHED_SHORT_NAME: &str = "3704";

pub(super) fn parse(mut file: CompoundFile<Cursor<&[u8]>>, budget: &mut Budget) -> Result<Parsed, Refusal> {
    let mut composer = Composer::default();
    let mut metadata = Metadata::new();
    let sender = [text(&mut file, "", SENDER), text(&mut file, "", SENDER_ADDRESS)];
    let sender = match sender {
        [Some(name), Some(address)] if name != address => Some(format!("{name} <{address}>")),
        [name, address] => name.or(address),
    };
    for (name, value) in [
        ("from", sender),
        ("to", text(&mut file, "", TO)),
        ("cc", text(&mut file, "", CC)),
    ] {
        if let Some(value) = value {
            metadata.insert(name.into(), one_line(&value).into());
        }
    }
    if let Some(headers) = text(&mut file, "", HEADERS)
        && let Some(message) = mail_parser::MessageParser::default().parse(headers.as_bytes())
        && let Some(date) = message.date()
    {
        metadata.insert("date".into(), date.to_rfc3339().into());
    }
    match text(&mut file, "", BODY) {
        Some(body) => composer.paragraph(&body.replace("\r\n", "\n")),
        None => {
            let page = binary(&mut file, "", HTML).and_then(|bytes| decode::decode(&bytes).ok());
            if let Some(page) = page.or_else(|| text(&mut file, "", HTML))
                && let Ok(page) = html::parse(&page)
            {
                composer.embed(0, &page);
            }
        }
    }
    let attachments: Vec<String> = file
        .read_root_storage()
        .filter(|entry| entry.is_storage() && entry.name().starts_with("__attach_version1.0_"))
        .map(|entry| entry.name().to_owned())
        .collect();
    for folder in attachments {
        let name = text(&mut file, &folder, ATTACHED_NAME)
            .or_else(|| text(&mut file, &folder, ATTACHED_SHORT_NAME))
            .unwrap_or_default();
        if let Some(bytes) = binary(&mut file, &folder, ATTACHED)
            && let Ok(inner) = budget.parse(&name, &bytes)
        {
            composer.heading(1, &format!("Attachment {name}"));
            composer.embed(1, &inner);
        }
    }
    let subject = text(&mut file, "", SUBJECT).map(|subject| one_line(&subject));
    if composer.is_empty()
        && let Some(subject) = &subject
    {
        composer.paragraph(subject);
    }
    let mut parsed = composer.finish("email", "message")?;
    parsed.title = subject;
    parsed.metadata = metadata;
    Ok(parsed)
}

/// A text property, in UTF-16 or in the sender's code page.
fn text(file: &mut CompoundFile<Cursor<&[u8]>>, folder: &str, property: &str) -> Option<String> {
    let wide = stream(file, folder, property, "001F").map(|bytes| {
        encoding_rs::UTF_16LE
            .decode_without_bom_handling(&bytes)
            .0
            .into_owned()
    });
    let narrow = || decode::decode(&stream(file, folder, property, "001E")?).ok();
    let text = wide.or_else(narrow)?;
    let text = text.trim_end_matches('\0').trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn binary(file: &mut CompoundFile<Cursor<&[u8]>>, folder: &str, property: &str) -> Option<Vec<u8>> {
    stream(file, folder, property, "0102")
}

fn stream(
    file: &mut CompoundFile<Cursor<&[u8]>>,
    folder: &str,
    property: &str,
    kind: &str,
) -> Option<Vec<u8>> {
    let path = format!("/{folder}/__substg1.0_{property}{kind}").replace("//", "/");
    let stream = file.open_stream(path).ok()?;
    let mut bytes = Vec::new();
    stream.take(MAX_STREAM).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
