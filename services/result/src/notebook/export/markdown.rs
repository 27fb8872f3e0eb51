//! Markdown, and HTML that somebody else wrote, as HTML that does nothing.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag};

use crate::notebook::Fields;

/// Pictures that a page shows without running anything.
const PICTURES: [&str; 5] = [
    "data:image/png;base64,",
    "data:image/jpeg;base64,",
    "data:image/gif;base64,",
    "data:image/webp;base64,",
    "data:image/svg+xml;base64,",
];

/// What survives: text, tables, lists, links that a reader may follow, and pictures that are in the page itself.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    cleaner
        .url_schemes(HashSet::from(["http", "https", "mailto", "data"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .add_generic_attributes(["class"])
        .add_tags(["input"])
        .add_tag_attributes("input", ["type", "checked", "disabled"])
        .add_tag_attributes("table", ["border"])
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            ("img", "src") => PICTURES.iter().any(|kind| value.starts_with(kind)).then_some(value.into()),
            ("input", "type") => (value == "checkbox").then_some(value.into()),
            _ if value.trim_start().to_ascii_lowercase().starts_with("data:") => None,
            _ => Some(Cow::Borrowed(value)),
        });
    cleaner
});

/// HTML without anything that acts.
pub fn clean(html: &str) -> String {
    CLEANER.clean(html).to_string()
}

/// Markdown as clean HTML; `attachment:` pictures are taken from the cell's attachments.
pub fn html(markdown: &str, attachments: Option<&Fields>) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH;
    let events = Parser::new_ext(markdown, options).map(|event| match event {
        Event::Start(tag) => Event::Start(with_attachment(tag, attachments)),
        // Mathematics stays as it was written: nothing in the page could set it.
        Event::InlineMath(formula) => Event::Code(format!("${formula}$").into()),
        Event::DisplayMath(formula) => Event::Code(format!("$${formula}$$").into()),
        Event::End(_)
        | Event::Text(_)
        | Event::Code(_)
        | Event::Html(_)
        | Event::InlineHtml(_)
        | Event::FootnoteReference(_)
        | Event::SoftBreak
        | Event::HardBreak
        | Event::Rule
        | Event::TaskListMarker(_) => event,
    });
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    clean(&html)
}

fn with_attachment<'a>(tag: Tag<'a>, attachments: Option<&Fields>) -> Tag<'a> {
    let Tag::Image { link_type, dest_url, title, id } = tag else { return tag };
    let attached = dest_url.strip_prefix("attachment:").and_then(|name| attachment(attachments?, name));
    Tag::Image { link_type, dest_url: attached.map_or(dest_url, CowStr::from), title, id }
}

/// The first picture of the attachment, as a URL.
fn attachment(attachments: &Fields, name: &str) -> Option<String> {
    let bundle: Fields = serde_json::from_str(attachments.get(name)?.get()).ok()?;
    bundle.iter().find_map(|(mime, data)| picture(mime, &serde_json::from_str::<String>(data.get()).ok()?))
}

/// Data of a picture as a URL; none for what is no picture.
pub fn picture(mime: &str, data: &str) -> Option<String> {
    use base64::Engine as _;
    let prefix = PICTURES.iter().find(|kind| **kind == format!("data:{mime};base64,"))?;
    if mime == "image/svg+xml" {
        return Some(format!("{prefix}{}", base64::engine::general_purpose::STANDARD.encode(data)));
    }
    let data: String = data.split_ascii_whitespace().collect();
    let is_base64 = data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    is_base64.then(|| format!("{prefix}{data}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::raw;

    #[test]
    fn nothing_that_acts_survives() {
        let hostile = "# ok\n<script>alert(1)</script><img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) \
            <a href=\"data:text/html,x\">b</a> <iframe src=\"http://x\"></iframe> <style>*{}</style> <svg onload=alert(1)></svg>\
            <img src=\"data:text/html;base64,PHNjcmlwdD4=\"><img src=\"https://x/y.png\"><form action=/x><button>c</button></form>";
        let html = html(hostile, None);
        for bad in
            ["script", "onerror", "onload", "javascript:", "data:", "iframe", "<style", "https://x/y.png", "<form", "<button"]
        {
            assert!(!html.contains(bad), "{bad}: {html}");
        }
        assert!(html.contains("<h1>ok</h1>"), "{html}");
    }

    #[test]
    fn attached_pictures_are_in_the_page() {
        let bundle = serde_json::json!({"image/png": "aGk=\n"});
        let attachments = Fields::from([("a.png".to_owned(), raw(&bundle))]);
        let html = html("![x](attachment:a.png) **b** $a_b$\n\n|t|\n|-|\n|1|", Some(&attachments));
        assert!(html.contains("src=\"data:image/png;base64,aGk=\""), "{html}");
        assert!(html.contains("<code>$a_b$</code>") && html.contains("<table>"), "{html}");
    }
}
