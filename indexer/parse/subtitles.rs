//! Subtitles: the spoken text, in paragraphs that begin with their start time.

use super::composer::{Composer, one_line};
use super::{Parsed, Refusal};

/// A paragraph ends at the first end of a sentence after this many bytes.
const PARAGRAPH: usize = 300;

/// Detects WebVTT by its magic word, and SubRip by its first number and time.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("WEBVTT") {
        return Some("vtt");
    }
    let mut lines = text.lines();
    let number = lines.next()?.trim();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && time(lines.next()?).is_some()).then_some("srt")
}

pub(super) fn parse(text: &str, kind: &'static str) -> Result<Parsed, Refusal> {
    let mut composer = Composer::default();
    let mut paragraph = String::new();
    let mut last_caption = String::new();
    for block in text.replace("\r\n", "\n").split("\n\n") {
        let mut lines = block.lines().skip_while(|line| time(line).is_none());
        let Some(begin) = lines.next().and_then(time) else {
            continue;
        };
        let caption = one_line(&without_tags(&lines.collect::<Vec<_>>().join(" ")));
        // Rolling captions repeat the previous line.
        if caption.is_empty() || caption == last_caption {
            continue;
        }
        if paragraph.is_empty() {
            paragraph = format!("[{begin}] ");
        } else {
            paragraph.push(' ');
        }
        paragraph.push_str(&caption);
        let ends = caption.ends_with(['.', '!', '?', '…', '。', '！', '？']);
        if paragraph.len() > PARAGRAPH && ends || paragraph.len() > 3 * PARAGRAPH {
            composer.paragraph(&std::mem::take(&mut paragraph));
        }
        last_caption = caption;
    }
    composer.paragraph(&paragraph);
    composer.finish(kind, "subtitle file")
}

/// The start of a time span such as `00:01:02,500 --> 00:01:04,000`, without the fraction.
fn time(line: &str) -> Option<&str> {
    let (begin, _) = line.split_once("-->")?;
    let begin = begin.trim();
    let seconds = begin.split_once([',', '.']).map_or(begin, |(seconds, _)| seconds);
    let is_time = seconds.contains(':') && seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    is_time.then_some(seconds)
}

fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        match tag.split_once('>') {
            // A voice tag names the speaker.
            Some((inside, after)) => {
                if let Some(voice) = inside.strip_prefix("v ") {
                    out.push_str(voice);
                    out.push_str(": ");
                }
                rest = after;
            }
            None => {
                out.push('<');
                rest = tag;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_joined_after_their_start_time() {
        let text = "1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>Hello</i>\r\nthere\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nBye.\r\n";
        assert_eq!(kind(text), Some("srt"));
        assert_eq!(parse(text, "srt").unwrap().text, "[00:00:01] Hello there Bye.\n");
        let text = "WEBVTT\n\nNOTE x\n\na\n01:02.000 --> 01:03.000 align:start\n<v Ann>Hi & a < b\n";
        assert_eq!(parse(text, "vtt").unwrap().text, "[01:02] Ann: Hi & a < b\n");
        assert_eq!(kind("1\n2\n"), None);
    }
}
