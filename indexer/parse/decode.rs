//! From bytes to text, whatever the encoding; and telling what is no text.

use chardetng::EncodingDetector;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::Refusal;

/// How much of a file is looked at to tell text from other things.
const LOOKED_AT: usize = 8192;
/// Share of control characters above which it is no text.
const CONTROL_SHARE: f64 = 0.05;

/// What files begin with that no parser reads, and what they are.
const MAGIC: &[(&[u8], &str)] = &[
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"RIFF", "a RIFF container (audio, video or WebP)"),
    (b"OggS", "Ogg media"),
    (b"ID3", "MP3 audio"),
    (b"fLaC", "FLAC audio"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM video"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"\xca\xfe\xba\xbe", "a Java class or Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\0asm", "WebAssembly"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"!<arch>\n", "an ar archive"),
    (b"wOFF", "a WOFF font"),
    (b"wOF2", "a WOFF2 font"),
];

/// The text of `bytes`.
///
/// # Errors
/// [`Refusal`] where they are empty or no text.
pub(super) fn decode(bytes: &[u8]) -> Result<String, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::skipped("empty"));
    }
    if let Some((_, what)) = MAGIC
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic) && !is_prose(magic, bytes))
    {
        return Err(Refusal::skipped(format!("{what}: not supported")));
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return checked(
            encoding
                .decode_without_bom_handling(&bytes[mark..])
                .0
                .into_owned(),
        );
    }
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    if head.contains(&0) {
        return match utf16_without_mark(head) {
            Some(encoding) => checked(encoding.decode_without_bom_handling(bytes).0.into_owned()),
            None => Err(Refusal::skipped("binary")),
        };
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return checked(text.to_owned());
    }
    let mut detector = EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let encoding = detector.guess(None, chardetng::Utf8Detection::Allow);
    checked(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

/// Short magic numbers that are words as well count only where what follows is no text.
fn is_prose(magic: &[u8], bytes: &[u8]) -> bool {
    let word = [
        &b"MZ"[..],
        b"ID3",
        b"RIFF",
        b"GIF8",
        b"OggS",
        b"fLaC",
        b"wOFF",
        b"wOF2",
    ]
    .contains(&magic);
    word && std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok_and(|text| !text.contains('\0'))
}

/// UTF-16 by its zeros: Latin letters have one on the same side each time.
fn utf16_without_mark(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.chunks_exact(2);
    let count = pairs.len().max(1);
    let (mut high_first, mut low_first, mut both) = (0, 0, 0);
    for pair in pairs {
        match (pair[0], pair[1]) {
            (0, 0) => both += 1,
            (0, _) => high_first += 1,
            (_, 0) => low_first += 1,
            _ => {}
        }
    }
    let most = |zeros: usize| zeros * 10 >= count * 6 && both == 0;
    match () {
        () if most(high_first) => Some(UTF_16BE),
        () if most(low_first) => Some(UTF_16LE),
        () => None,
    }
}

/// The text, unless it is full of what text has none of.
fn checked(text: String) -> Result<String, Refusal> {
    let mut looked_at = 0;
    let mut odd = 0;
    for c in text.chars().take(LOOKED_AT) {
        looked_at += 1;
        let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}' | '\u{8}');
        odd += usize::from(control || c == char::REPLACEMENT_CHARACTER);
    }
    if odd as f64 > CONTROL_SHARE * looked_at as f64 {
        return Err(Refusal::skipped("binary"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let text = "Die Brücke über den Fluß ist schön und führt hinüber zur Mühle, größer als jede andere.";
        let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(text);
        assert_eq!(decode(&latin).unwrap(), text);
        assert_eq!(decode(text.as_bytes()).unwrap(), text);
        assert_eq!(
            decode(&[b"\xef\xbb\xbf", text.as_bytes()].concat()).unwrap(),
            text
        );
        let units = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        assert_eq!(
            decode(&[&[0xff, 0xfe][..], &units(u16::to_le_bytes)].concat()).unwrap(),
            text
        );
        assert_eq!(decode(&units(u16::to_le_bytes)).unwrap(), text);
        assert_eq!(decode(&units(u16::to_be_bytes)).unwrap(), text);
        let japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
        assert_eq!(
            decode(&encoding_rs::SHIFT_JIS.encode(japanese).0).unwrap(),
            japanese
        );
        let russian =
            "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.";
        assert_eq!(decode(&encoding_rs::KOI8_R.encode(russian).0).unwrap(), russian);
    }

    #[test]
    fn what_is_no_text_says_what_it_is() {
        let refused = |bytes: &[u8]| decode(bytes).unwrap_err().reason;
        assert!(refused(b"\x89PNG\r\n\x1a\n...").starts_with("a PNG image"));
        assert_eq!(refused(b""), "empty");
        assert_eq!(refused(&[1, 2, 3, 0, 0, 0, 9, 200]), "binary");
        assert_eq!(refused(&[0, 0, 0, 0]), "binary");
        assert!(refused(b"MZ\x90\0\x03\0").contains("Windows"));
        assert_eq!(decode(b"MZ is also a word").unwrap(), "MZ is also a word");
    }
}
