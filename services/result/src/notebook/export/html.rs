//! As one HTML page that needs nothing else, and in which nothing of the notebook acts.

use crate::notebook::{Cell, CellKind, Fields, Notebook};

use super::{ansi, markdown};

/// The page's own rules: no scripts, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("page.css");

/// What of a bundle is shown: the first that there is.
const TEXTS: [&str; 3] = ["text/markdown", "text/latex", "text/plain"];
const PICTURES: [&str; 5] = ["image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/gif"];

/// The page's text.
pub fn html(title: &str, notebook: &Notebook) -> String {
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"");
    page.push_str(POLICY);
    page.push_str("\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    ansi::escape(&mut page, title);
    page.push_str("</title>\n<style>\n");
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n<main>\n");
    for cell in &notebook.cells {
        match cell.kind {
            CellKind::Code => code(&mut page, cell),
            CellKind::Markdown => {
                page.push_str("<section class=\"markdown\">\n");
                page.push_str(&markdown::html(&cell.source, cell.attachments.as_ref()));
                page.push_str("</section>\n");
            }
            CellKind::Raw => block(&mut page, "raw", &cell.source),
        }
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn code(page: &mut String, cell: &Cell) {
    let number = cell.execution_count.map_or_else(|| " ".to_owned(), |count| count.to_string());
    page.push_str("<section class=\"code\">\n<div class=\"prompt\">[");
    page.push_str(&number);
    page.push_str("]:</div>\n");
    block(page, "source", &cell.source);
    for output in &cell.outputs {
        page.push_str("<div class=\"output\">\n");
        self::output(page, output);
        page.push_str("</div>\n");
    }
    page.push_str("</section>\n");
}

fn output(page: &mut String, output: &Fields) {
    match text_of(output, "output_type").as_str() {
        "stream" => {
            let class = if text_of(output, "name") == "stderr" { "stderr" } else { "stdout" };
            printed(page, class, &text_of(output, "text"));
        }
        "error" => {
            let lines: Vec<String> =
                output.get("traceback").and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default();
            let told = format!("{}: {}", text_of(output, "ename"), text_of(output, "evalue"));
            printed(page, "error", &if lines.is_empty() { told } else { lines.join("\n") });
        }
        _ => {
            if let Some(bundle) = output.get("data").and_then(|data| serde_json::from_str::<Fields>(data.get()).ok()) {
                shown(page, &bundle);
            }
        }
    }
}

fn shown(page: &mut String, bundle: &Fields) {
    // What is nothing but a script is shown in another of its forms.
    let clean = text_of_some(bundle, "text/html").map(|html| markdown::clean(&html));
    if let Some(html) = clean.filter(|html| !html.trim().is_empty()) {
        page.push_str(&html);
        page.push('\n');
        return;
    }
    let picture = PICTURES.iter().find_map(|mime| markdown::picture(mime, &text_of_some(bundle, mime)?));
    if let Some(url) = picture {
        let described = text_of(bundle, "text/plain");
        page.push_str("<img alt=\"");
        ansi::escape(page, &described);
        page.push_str("\" src=\"");
        page.push_str(&url);
        page.push_str("\">\n");
        return;
    }
    let text = TEXTS.iter().find_map(|mime| Some((*mime, text_of_some(bundle, mime)?)));
    match text {
        Some(("text/markdown", text)) => page.push_str(&markdown::html(&text, None)),
        Some((_, text)) => printed(page, "plain", &text),
        None => {
            if let Some((_, value)) = bundle.iter().next() {
                block(page, "plain", value.get());
            }
        }
    }
}

/// Text for terminals.
fn printed(page: &mut String, class: &str, text: &str) {
    page.push_str("<pre class=\"");
    page.push_str(class);
    page.push_str("\">");
    page.push_str(&ansi::html(text));
    page.push_str("</pre>\n");
}

/// Text as it is.
fn block(page: &mut String, class: &str, text: &str) {
    page.push_str("<pre class=\"");
    page.push_str(class);
    page.push_str("\">");
    ansi::escape(page, text);
    page.push_str("</pre>\n");
}

fn text_of_some(fields: &Fields, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

fn text_of(fields: &Fields, name: &str) -> String {
    text_of_some(fields, name).unwrap_or_default()
}
