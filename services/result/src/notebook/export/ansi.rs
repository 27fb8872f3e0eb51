//! What programs print for terminals as HTML: colours and weight become styles, everything else that steers goes.

use std::fmt::Write as _;

use anstyle_parse::{Params, Parser, Perform, Utf8Parser};

/// The sixteen colours by their place, readable on light and on dark.
const COLOURS: [&str; 16] = [
    "#3e424d", "#e75c58", "#00a250", "#b5892a", "#208ffb", "#d160c4", "#3fa7a7", "#a1a6b2", "#5d6272", "#d53a36", "#008746",
    "#966f12", "#0065ca", "#a03196", "#258f8f", "#8e93a1",
];

/// Safe HTML for the text. A line keeps only what was written after its last return, as on a terminal.
pub fn html(text: &str) -> String {
    let mut painter = Painter::default();
    let mut parser = Parser::<Utf8Parser>::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            painter.put('\n');
        }
        let line = line.trim_end_matches('\r');
        let shown = line.rsplit('\r').next().unwrap_or_default();
        shown.bytes().for_each(|byte| parser.advance(&mut painter, byte));
    }
    painter.close();
    painter.html
}

/// Text that HTML shows as it is.
pub fn escape(html: &mut String, text: &str) {
    for character in text.chars() {
        escape_one(html, character);
    }
}

fn escape_one(html: &mut String, character: char) {
    match character {
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '&' => html.push_str("&amp;"),
        '"' => html.push_str("&quot;"),
        '\'' => html.push_str("&#39;"),
        _ => html.push(character),
    }
}

#[expect(clippy::struct_excessive_bools, reason = "a terminal has these")]
#[derive(Default, Clone, PartialEq, Eq)]
struct Style {
    colour: Option<String>,
    ground: Option<String>,
    bold: bool,
    faint: bool,
    italic: bool,
    underlined: bool,
    reversed: bool,
}

#[derive(Default)]
struct Painter {
    html: String,
    style: Style,
    /// The style of the span that is open.
    open: Option<Style>,
}

impl Painter {
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.html.push_str("</span>");
        }
    }

    fn put(&mut self, character: char) {
        if self.open.as_ref() != Some(&self.style) && (self.open.is_some() || self.style != Style::default()) {
            self.close();
            if self.style != Style::default() {
                self.html.push_str("<span style=\"");
                self.style.write(&mut self.html);
                self.html.push_str("\">");
                self.open = Some(self.style.clone());
            }
        }
        escape_one(&mut self.html, character);
    }
}

impl Perform for Painter {
    fn print(&mut self, character: char) {
        self.put(character);
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.put('\t');
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if action == b'm' && intermediates.is_empty() && !ignore {
            let numbers: Vec<u16> = params.iter().flatten().copied().collect();
            self.style.apply(&numbers);
        }
    }
}

impl Style {
    /// Select Graphic Rendition (ECMA-48, 8.3.117, with the usual further colours).
    fn apply(&mut self, numbers: &[u16]) {
        let mut numbers = numbers.iter().copied();
        if numbers.len() == 0 {
            *self = Self::default();
        }
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.faint = true,
                3 => self.italic = true,
                4 => self.underlined = true,
                7 => self.reversed = true,
                22 => (self.bold, self.faint) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                27 => self.reversed = false,
                30..=37 => self.colour = named(number - 30),
                38 => self.colour = extended(&mut numbers),
                39 => self.colour = None,
                40..=47 => self.ground = named(number - 40),
                48 => self.ground = extended(&mut numbers),
                49 => self.ground = None,
                90..=97 => self.colour = named(number - 82),
                100..=107 => self.ground = named(number - 92),
                _ => {}
            }
        }
    }

    fn write(&self, html: &mut String) {
        let (colour, ground) = if self.reversed {
            (Some(self.ground.as_deref().unwrap_or("Canvas")), Some(self.colour.as_deref().unwrap_or("CanvasText")))
        } else {
            (self.colour.as_deref(), self.ground.as_deref())
        };
        let named = [("color", colour), ("background-color", ground)];
        for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            // Writing to a text does not fail.
            let _ = write!(html, "{name}:{value};");
        }
        let flags = [
            (self.bold, "font-weight:bold;"),
            (self.faint, "opacity:.7;"),
            (self.italic, "font-style:italic;"),
            (self.underlined, "text-decoration:underline;"),
        ];
        flags.into_iter().filter(|(on, _)| *on).for_each(|(_, style)| html.push_str(style));
    }
}

fn named(place: u16) -> Option<String> {
    COLOURS.get(usize::from(place)).map(|&colour| colour.to_owned())
}

/// `5;n` of 256 colours, or `2;r;g;b`.
fn extended(numbers: &mut impl Iterator<Item = u16>) -> Option<String> {
    let byte = |number: u16| number.min(255);
    match numbers.next()? {
        5 => match byte(numbers.next()?) {
            place @ 0..=15 => named(place),
            place @ 16..=231 => {
                let level = |step: u16| if step == 0 { 0 } else { 55 + 40 * step };
                let place = place - 16;
                Some(format!("#{:02x}{:02x}{:02x}", level(place / 36), level(place / 6 % 6), level(place % 6)))
            }
            place => {
                let grey = 8 + 10 * (place - 232);
                Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
            }
        },
        2 => {
            let (red, green, blue) = (byte(numbers.next()?), byte(numbers.next()?), byte(numbers.next()?));
            Some(format!("#{red:02x}{green:02x}{blue:02x}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_are_spans_and_nothing_else_is_left() {
        let text = "a\u{1b}[31mred\u{1b}[0m<b>\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}[1;38;5;196mx\u{1b}[m\n10%\r20%\r\nend";
        let expected = "a<span style=\"color:#e75c58;\">red</span>&lt;b&gt;<span style=\"color:#ff0000;font-weight:bold;\">x</span>\n20%\nend";
        assert_eq!(html(text), expected);
    }

    proptest! {
        #[test]
        fn nothing_printed_becomes_a_tag(text in "[\u{1b}\\[0-9;m<>\"'&a-z\r\n]{0,80}") {
            let html = html(&text);
            let without = html.replace("</span>", "");
            for piece in without.split('<').skip(1) {
                prop_assert!(piece.starts_with("span style=\""), "{html}");
                let style = piece["span style=\"".len()..].split('"').next().unwrap();
                prop_assert!(style.chars().all(|c| c.is_ascii_alphanumeric() || "#:;-.".contains(c)), "{html}");
            }
            prop_assert_eq!(html.matches("<span").count(), html.matches("</span>").count());
        }
    }
}
