//! Small files of many formats, for unit tests, end-to-end tests and fuzzers.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A ZIP with these files: name and text.
pub fn package(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Relationships of a part: id, last component of the type, target.
fn relations(list: &[(&str, &str, &str)]) -> String {
    let entries: String = list
        .iter()
        .map(|(id, kind, target)| {
            format!("<Relationship Id='{id}' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}' Target='{target}'/>")
        })
        .collect();
    format!(
        "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>{entries}</Relationships>"
    )
}

const CORE: &str = "<c:coreProperties xmlns:c='c' xmlns:dc='d' xmlns:t='t'><dc:title>Harbour report</dc:title>\
    <dc:creator>Ann</dc:creator><t:created>2026-02-03T10:00:00Z</t:created></c:coreProperties>";

/// A Word document of two pages.
pub fn docx() -> Vec<u8> {
    let document = "<w:document xmlns:w='w' xmlns:mc='m'><w:body>\
        <w:p><w:pPr><w:pStyle w:val='H1'/></w:pPr><w:r><w:t>Tides</w:t></w:r></w:p>\
        <w:p><w:r><w:t>The water </w:t></w:r><w:del><w:r><w:delText>never</w:delText></w:r></w:del>\
        <w:ins><w:r><w:t>rises</w:t></w:r></w:ins><w:r><w:tab/><w:t>twice.</w:t></w:r></w:p>\
        <w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr></w:pPr><w:r><w:t>first</w:t></w:r></w:p>\
        <w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr></w:pPr><w:r><w:t>second</w:t></w:r></w:p>\
        <w:p><w:pPr><w:pStyle w:val='Sub'/></w:pPr><w:r><w:lastRenderedPageBreak/><w:t>Piers</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>Pier</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Depth</w:t></w:r></w:p></w:tc></w:tr>\
        <w:tr><w:tc><w:p><w:r><w:t>North</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>4 m</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
        <mc:AlternateContent><mc:Choice><w:p><w:r><w:t>Once</w:t></w:r></w:p></mc:Choice>\
        <mc:Fallback><w:p><w:r><w:t>Twice</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>\
        </w:body></w:document>";
    let styles = "<w:styles xmlns:w='w'><w:style w:styleId='H1'><w:name w:val='heading 1'/></w:style>\
        <w:style w:styleId='H2'><w:name w:val='Heading 2'/></w:style>\
        <w:style w:styleId='Sub'><w:name w:val='mine'/><w:basedOn w:val='H2'/></w:style></w:styles>";
    let numbering = "<w:numbering xmlns:w='w'><w:abstractNum w:abstractNumId='7'><w:lvl w:ilvl='0'>\
        <w:start w:val='1'/><w:numFmt w:val='decimal'/></w:lvl></w:abstractNum>\
        <w:num w:numId='1'><w:abstractNumId w:val='7'/></w:num></w:numbering>";
    let notes = "<w:footnotes xmlns:w='w'><w:footnote w:type='separator'><w:p/></w:footnote>\
        <w:footnote w:id='2'><w:p><w:r><w:t>Measured at noon.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    package(&[
        ("[Content_Types].xml", "<Types/>"),
        (
            "_rels/.rels",
            &relations(&[("a", "officeDocument", "word/document.xml")]),
        ),
        (
            "word/_rels/document.xml.rels",
            &relations(&[
                ("a", "styles", "styles.xml"),
                ("b", "numbering", "numbering.xml"),
                ("c", "footnotes", "footnotes.xml"),
            ]),
        ),
        ("word/document.xml", document),
        ("word/styles.xml", styles),
        ("word/numbering.xml", numbering),
        ("word/footnotes.xml", notes),
        ("docProps/core.xml", CORE),
    ])
}

/// A presentation of two slides, the second of which has notes.
pub fn pptx() -> Vec<u8> {
    let slide = |title: &str, body: &str| {
        format!(
            "<p:sld xmlns:p='p' xmlns:a='a'><p:cSld><p:spTree><p:sp><p:nvSpPr><p:nvPr><p:ph type='title'/></p:nvPr></p:nvSpPr>\
             <p:txBody><a:p><a:r><a:t>{title}</a:t></a:r></a:p></p:txBody></p:sp>{body}</p:spTree></p:cSld></p:sld>"
        )
    };
    let points = "<p:sp><p:nvSpPr><p:nvPr><p:ph idx='1'/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>Cranes</a:t></a:r></a:p>\
        <a:p><a:pPr lvl='1'/><a:r><a:t>Two of them</a:t></a:r></a:p></p:txBody></p:sp>\
        <p:sp><p:nvSpPr><p:nvPr><p:ph type='sldNum'/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>17</a:t></a:r></a:p></p:txBody></p:sp>";
    let table = "<p:graphicFrame><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>Year</a:t></a:r></a:p></a:txBody></a:tc>\
        <a:tc><a:txBody><a:p><a:r><a:t>Tonnes</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>";
    let notes = "<p:notes xmlns:p='p' xmlns:a='a'><p:sp><p:nvSpPr><p:nvPr><p:ph type='body'/></p:nvPr></p:nvSpPr>\
        <p:txBody><a:p><a:r><a:t>Mention the strike.</a:t></a:r></a:p></p:txBody></p:sp></p:notes>";
    package(&[
        ("[Content_Types].xml", "<Types/>"),
        (
            "_rels/.rels",
            &relations(&[("a", "officeDocument", "ppt/presentation.xml")]),
        ),
        (
            "ppt/presentation.xml",
            "<p:presentation xmlns:p='p' xmlns:r='r'><p:sldIdLst><p:sldId id='256' r:id='b'/><p:sldId id='257' r:id='a'/>\
             </p:sldIdLst></p:presentation>",
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            &relations(&[
                ("a", "slide", "slides/slide1.xml"),
                ("b", "slide", "slides/slide2.xml"),
            ]),
        ),
        ("ppt/slides/slide1.xml", &slide("Figures", table)),
        ("ppt/slides/slide2.xml", &slide("Overview", points)),
        (
            "ppt/slides/_rels/slide1.xml.rels",
            &relations(&[("n", "notesSlide", "../notes/n1.xml")]),
        ),
        ("ppt/notes/n1.xml", notes),
    ])
}

/// A workbook of two sheets.
pub fn xlsx() -> Vec<u8> {
    let mut rows = "<row r='1'><c r='A1' t='inlineStr'><is><t>Ships by month</t></is></c></row>\
        <row r='3'><c r='B3' t='inlineStr'><is><t>Month</t></is></c><c r='D3' t='inlineStr'><is><t>Ships</t></is></c></row>"
        .to_owned();
    for row in 4..16 {
        rows += &format!(
            "<row r='{row}'><c r='B{row}'><v>{row}</v></c><c r='D{row}'><v>0.30000000000000004</v></c></row>"
        );
    }
    // A cell far out, which must not allocate a full grid.
    rows += "<row r='1048576'><c r='XFD1048576' t='inlineStr'><is><t>corner</t></is></c></row>";
    let sheet = |rows: &str| {
        format!(
            "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><sheetData>{rows}</sheetData></worksheet>"
        )
    };
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    package(&[
        ("[Content_Types].xml", "<Types/>"),
        (
            "_rels/.rels",
            &relations(&[("a", "officeDocument", "xl/workbook.xml")]),
        ),
        (
            "xl/workbook.xml",
            &format!(
                "<workbook xmlns='{main}' xmlns:r='{types}'><sheets><sheet name='Traffic' sheetId='1' r:id='a'/>\
                 <sheet name='Empty' sheetId='2' r:id='b'/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &relations(&[
                ("a", "worksheet", "worksheets/sheet1.xml"),
                ("b", "worksheet", "worksheets/sheet2.xml"),
            ]),
        ),
        ("xl/worksheets/sheet1.xml", &sheet(&rows)),
        ("xl/worksheets/sheet2.xml", &sheet("")),
        ("docProps/core.xml", CORE),
    ])
}

/// An OpenDocument text.
pub fn odt() -> Vec<u8> {
    let content = "<o:document-content xmlns:o='o' xmlns:t='t' xmlns:b='b'><o:body><o:text>\
        <t:h t:outline-level='1'>Ropes</t:h><t:p>Made of <t:span>hemp</t:span><t:s t:c='2'/>and<t:line-break/>flax\
        <t:note><t:note-body><t:p>Or jute.</t:p></t:note-body></t:note>.</t:p>\
        <t:list><t:list-item><t:p>knots</t:p><t:list><t:list-item><t:p>bowline</t:p></t:list-item></t:list></t:list-item></t:list>\
        <b:table><b:table-row><b:table-cell><t:p>Use</t:p></b:table-cell><b:table-cell b:number-columns-repeated='2'><t:p>x</t:p>\
        </b:table-cell></b:table-row></b:table></o:text></o:body></o:document-content>";
    let meta = "<o:document-meta xmlns:o='o' xmlns:d='d' xmlns:m='m'><o:meta><d:title>On ropes</d:title>\
        <m:initial-creator>Bo</m:initial-creator></o:meta></o:document-meta>";
    package(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("content.xml", content),
        ("meta.xml", meta),
    ])
}

/// An OpenDocument presentation.
pub fn odp() -> Vec<u8> {
    let content = "<o:document-content xmlns:o='o' xmlns:t='t' xmlns:d='d' xmlns:p='p'><o:body><o:presentation>\
        <d:page><d:frame p:class='title'><d:text-box><t:p>Sails</t:p></d:text-box></d:frame>\
        <d:frame><d:text-box><t:p>of canvas</t:p></d:text-box></d:frame></d:page>\
        <d:page><d:frame><d:text-box><t:list><t:list-item><t:p>masts</t:p></t:list-item></t:list></d:text-box></d:frame>\
        <p:notes><d:frame><d:text-box><t:p>say more</t:p></d:text-box></d:frame></p:notes></d:page>\
        </o:presentation></o:body></o:document-content>";
    package(&[
        ("mimetype", "application/vnd.oasis.opendocument.presentation"),
        ("content.xml", content),
    ])
}

/// A book of two chapters.
pub fn epub() -> Vec<u8> {
    let container = "<container><rootfiles><rootfile full-path='book/content.opf'/></rootfiles></container>";
    let opf = "<package xmlns:dc='d'><metadata><dc:title>The lighthouse</dc:title><dc:creator>Cy</dc:creator>\
        <dc:language>en</dc:language></metadata><manifest><item id='n' href='nav.xhtml' properties='nav'/>\
        <item id='b' href='two%20b.xhtml'/><item id='a' href='one.xhtml'/></manifest>\
        <spine><itemref idref='n'/><itemref idref='a'/><itemref idref='b'/></spine></package>";
    package(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", container),
        ("book/content.opf", opf),
        ("book/nav.xhtml", "<html><body>contents</body></html>"),
        (
            "book/one.xhtml",
            "<html><body><h1>Lamp</h1><p>It turns.</p></body></html>",
        ),
        (
            "book/two b.xhtml",
            "<html><body><h1>Fog</h1><p>It sounds&nbsp;low.</p></body></html>",
        ),
    ])
}

/// A PDF with one page per entry of `pages` and one line of text per line. A line beginning with `# ` is set in
/// a large font.
pub fn pdf(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: String = (0..pages.len())
        .map(|page| format!("{} 0 R ", 4 + 2 * page))
        .collect();
    objects.push(format!(
        "<< /Type /Pages /Kids [ {kids}] /Count {} >>",
        pages.len()
    ));
    objects
        .push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned());
    for (index, page) in pages.iter().enumerate() {
        let mut content = "BT /F1 12 Tf 14 TL 72 720 Td\n".to_owned();
        for line in page.lines() {
            let (size, text) = line.strip_prefix("# ").map_or((12, line), |text| (24, text));
            content += &format!("/F1 {size} Tf ({text}) Tj T*\n");
        }
        content += "ET";
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * index
        ));
        objects.push(format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ));
    }
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file += &format!("{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let table = file.len();
    file += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for offset in offsets {
        file += &format!("{offset:010} 00000 n \n");
    }
    let size = objects.len() + 1;
    file += &format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
    file.into_bytes()
}
