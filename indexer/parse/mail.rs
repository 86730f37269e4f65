//! Mail: messages, mailboxes, and web archives (MHTML), which have the form of a message.

use autorag_store::Metadata;
use mail_parser::{Address, Message, MessageParser, MimeHeaders};

use super::composer::{Composer, one_line};
use super::nested::Budget;
use super::{Parsed, Refusal, html};

/// Header fields that distinguish a message from other text, in lower case.
const KNOWN_FIELDS: &[&str] = &[
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "received",
    "return-path",
    "mime-version",
    "delivered-to",
    "reply-to",
    "content-type",
    "x-mailer",
    "sender",
];
/// How much of a file is inspected to detect mail, bytes.
const SAMPLE: usize = 4096;
/// Beginning of the line that precedes each message in a mailbox.
const SEPARATOR: &[u8] = b"From ";

/// The kind of a mail file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MailKind {
    Message,
    Mailbox,
}

/// Detects mail. A file with a mail extension needs fewer known header fields.
pub(super) fn kind(bytes: &[u8], is_named: bool) -> Option<MailKind> {
    let required = if is_named { 1 } else { 3 };
    if let Some(after) = bytes.strip_prefix(SEPARATOR) {
        let line = after.iter().position(|byte| *byte == b'\n')?;
        return (count_known_fields(&after[line + 1..])? >= required).then_some(MailKind::Mailbox);
    }
    (count_known_fields(bytes)? >= required).then_some(MailKind::Message)
}

/// Number of known header fields at the beginning of `bytes`, or `None` if they do not begin with a header.
fn count_known_fields(bytes: &[u8]) -> Option<usize> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE)]);
    let mut known = 0;
    for (index, line) in head.lines().enumerate() {
        if line.is_empty() && index > 0 {
            break;
        }
        if line.starts_with([' ', '\t']) && index > 0 {
            continue;
        }
        let name = line.split_once(':').map(|(name, _)| name.trim_end());
        match name.filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())) {
            Some(name) => known += usize::from(KNOWN_FIELDS.contains(&name.to_ascii_lowercase().as_str())),
            // The sample may end within a line.
            None if head.len() >= SAMPLE && known > 2 => break,
            None => return None,
        }
    }
    Some(known)
}

/// Parses a message or a web archive.
pub(super) fn parse_message(bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return Err(Refusal::malformed("message", "no header"));
    };
    let mut composer = Composer::default();
    let is_page = message.content_type().is_some_and(|kind| {
        kind.ctype().eq_ignore_ascii_case("multipart")
            && kind
                .subtype()
                .is_some_and(|subtype| subtype.eq_ignore_ascii_case("related"))
    }) && message.header_raw("Snapshot-Content-Location").is_some()
        || message.from().is_none() && message.body_html(0).is_some();
    if is_page && let Some(text) = message.body_html(0) {
        let mut page = html::parse(&text)?;
        page.kind = "mhtml".into();
        page.title = page.title.or_else(|| message.subject().map(one_line));
        return Ok(page);
    }
    write_body(&message, 1, &mut composer, budget);
    let subject = message
        .subject()
        .map(one_line)
        .filter(|subject| !subject.is_empty());
    if composer.is_empty()
        && let Some(subject) = &subject
    {
        composer.paragraph(subject);
    }
    let mut parsed = composer.finish("email", "message")?;
    parsed.title = subject;
    parsed.metadata = metadata(&message);
    Ok(parsed)
}

/// Parses a mailbox. Each message is a page with its subject as heading.
pub(super) fn parse_mailbox(bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    let mut composer = Composer::default();
    for raw in messages(bytes) {
        budget.count()?;
        let Some(message) = MessageParser::default().parse(raw) else {
            continue;
        };
        composer.page();
        composer.heading(1, message.subject().unwrap_or("(no subject)"));
        let fields = metadata(&message);
        let header: Vec<String> = ["from", "to", "date"]
            .iter()
            .filter_map(|name| Some(format!("{name}: {}", fields.get(*name)?.as_str()?)))
            .collect();
        composer.paragraph(&header.join("\n"));
        write_body(&message, 2, &mut composer, budget);
    }
    composer.finish("mbox", "mailbox")
}

/// The messages of a mailbox, without their separator lines.
fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = vec![0];
    let breaks = bytes
        .windows(7)
        .enumerate()
        .filter(|(_, window)| *window == b"\n\nFrom ");
    starts.extend(breaks.map(|(at, _)| at + 2));
    let breaks = bytes
        .windows(9)
        .enumerate()
        .filter(|(_, window)| *window == b"\r\n\r\nFrom ");
    starts.extend(breaks.map(|(at, _)| at + 4));
    starts.sort_unstable();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let whole = starts.iter().zip(ends).map(|(start, end)| &bytes[*start..end]);
    whole
        .filter_map(|message| {
            let line = message.iter().position(|byte| *byte == b'\n')?;
            Some(&message[line + 1..])
        })
        .collect()
}

/// Writes the text of a message, then its attachments.
fn write_body(message: &Message<'_>, level: usize, composer: &mut Composer, budget: &mut Budget) {
    let plain: String = (0..message.text_body_count())
        .filter(|index| {
            message
                .text_part(*index as u32)
                .is_some_and(|part| part.is_text() && !part.is_text_html())
        })
        .filter_map(|index| message.body_text(index))
        .collect::<Vec<_>>()
        .join("\n\n");
    if plain.trim().is_empty() {
        for index in 0..message.html_body_count() {
            if let Some(text) = message.body_html(index)
                && let Ok(page) = html::parse(&text)
            {
                composer.embed(level - 1, &page);
            }
        }
    } else {
        composer.paragraph(&plain.replace("\r\n", "\n"));
    }
    for attachment in message.attachments() {
        if let Some(inner) = attachment.message() {
            composer.heading(level, inner.subject().unwrap_or("Forwarded message"));
            if budget.enter() {
                write_body(inner, level + 1, composer, budget);
                budget.leave();
            }
            continue;
        }
        let name = attachment.attachment_name().unwrap_or_default();
        let is_file = attachment
            .content_disposition()
            .is_some_and(|disposition| disposition.is_attachment())
            || !name.is_empty();
        if is_file && let Ok(inner) = budget.parse(name, attachment.contents()) {
            composer.heading(level, &format!("Attachment {name}"));
            composer.embed(level, &inner);
        }
    }
}

fn metadata(message: &Message<'_>) -> Metadata {
    let mut metadata = Metadata::new();
    let mut keep = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            metadata.insert(name.into(), value.into());
        }
    };
    keep("from", message.from().map(addresses));
    keep("to", message.to().map(addresses));
    keep("cc", message.cc().map(addresses));
    keep("date", message.date().map(mail_parser::DateTime::to_rfc3339));
    keep("message_id", message.message_id().map(str::to_owned));
    metadata
}

fn addresses(list: &Address<'_>) -> String {
    let one = |address: &mail_parser::Addr<'_>| match (address.name(), address.address()) {
        (Some(name), Some(address)) => format!("{} <{address}>", one_line(name)),
        (name, address) => name.or(address).unwrap_or_default().to_owned(),
    };
    list.iter()
        .map(one)
        .filter(|one| !one.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Date: Tue, 3 Feb 2026 10:00:00 +0100\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Die M=FChle\r\n--b\r\nContent-Type: text/markdown; name=a.md\r\nContent-Disposition: attachment; filename=a.md\r\n\
        \r\n# Plan\r\n\r\nwalk\r\n--b--\r\n";

    #[test]
    fn a_message_includes_its_attachments() {
        assert_eq!(kind(MESSAGE.as_bytes(), false), Some(MailKind::Message));
        let parsed = parse_message(MESSAGE.as_bytes(), &mut Budget::default()).unwrap();
        assert_eq!(parsed.title.as_deref(), Some("Grüße"));
        assert_eq!(parsed.metadata["from"], "Ann <ann@example.org>");
        assert_eq!(parsed.metadata["date"], "2026-02-03T10:00:00+01:00");
        assert!(
            parsed
                .text
                .starts_with("Die Mühle\n\n# Attachment a.md\n\n# Plan"),
            "{}",
            parsed.text
        );
    }

    #[test]
    fn each_message_of_a_mailbox_is_a_page() {
        let mailbox = format!("From x\n{MESSAGE}\n\nFrom y\nFrom: c@d\nSubject: two\n\nsecond\n");
        assert_eq!(kind(mailbox.as_bytes(), true), Some(MailKind::Mailbox));
        let parsed = parse_mailbox(mailbox.as_bytes(), &mut Budget::default()).unwrap();
        assert!(
            parsed.text.contains("# two\n\nfrom: c@d\n\nsecond"),
            "{}",
            parsed.text
        );
        assert_eq!(parsed.pages.len(), 2);
    }

    #[test]
    fn prose_is_not_detected_as_mail() {
        assert_eq!(kind(b"Note: this is prose.\nSubject: none\n\nmore", false), None);
        assert_eq!(kind(b"From here on, it is prose.\nReally.\n", false), None);
        assert_eq!(kind(b"Just prose.\n", true), None);
    }
}
