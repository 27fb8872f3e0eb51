//! Names that people give, and the slug of a tenant.

use unicode_normalization::UnicodeNormalization as _;

const MAX_CHARS: usize = 200;
/// Room for a suffix within the 63 characters of a DNS label.
const MAX_SLUG: usize = 40;

/// The text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 200 characters, none of which controls how others are shown")]
pub struct InvalidName;

/// A name in NFC without white space around it.
pub fn parse_name(text: &str) -> Result<String, InvalidName> {
    // Composing never makes a name longer, so the bound on the raw text bounds the work.
    if text.len() > 16 * MAX_CHARS {
        return Err(InvalidName);
    }
    let name: String = text.trim().nfc().collect();
    if (1..=MAX_CHARS).contains(&name.chars().count())
        && !name.chars().any(|letter| letter.is_control() || turns_direction(letter))
    {
        Ok(name)
    } else {
        Err(InvalidName)
    }
}

/// Characters that make what follows read in another order than it is (the `Bidi_Control` property of Unicode), by which one
/// name passes for another.
pub fn turns_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A slug made from a name: lower-case ASCII letters, digits and single hyphens; `tenant` when nothing is left.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.nfkd().filter(|letter| !unicode_normalization::char::is_combining_mark(*letter)) {
        if slug.len() >= MAX_SLUG {
            break;
        }
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "tenant".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_dns_label() {
        assert_eq!(slug("Ada's Class — 2026"), "ada-s-class-2026");
        assert_eq!(slug("Café Zoë"), "cafe-zoe");
        assert_eq!(slug("教室"), "tenant");
        assert_eq!(slug("--a--"), "a");
        assert_eq!(slug(&"x".repeat(200)).len(), MAX_SLUG);
        let edge = slug(&format!("{} b", "x".repeat(MAX_SLUG - 1)));
        assert!(!edge.ends_with('-'), "{edge}");
    }

    #[test]
    fn names_are_bounded_by_characters() {
        assert_eq!(parse_name("  Zoe\u{308} "), Ok("Zo\u{eb}".to_owned()));
        assert!(parse_name(&"é".repeat(200)).is_ok());
        assert!(parse_name("👩\u{200d}🚀").is_ok());
        for bad in
            ["", "   ", "a\nb", "nul\0", "bad\u{202e}eman", "\u{2066}x", "é".repeat(201).as_str(), "x".repeat(100_000).as_str()]
        {
            assert_eq!(parse_name(bad), Err(InvalidName));
        }
    }
}
