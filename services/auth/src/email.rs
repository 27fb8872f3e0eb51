//! E-mail addresses: one account an address, however it is written.

use email_address::{EmailAddress, Options};
use unicode_normalization::UnicodeNormalization as _;

use crate::names::turns_direction;

/// RFC 5321's limit on a path, less its brackets.
const MAX_BYTES: usize = 254;

/// A valid address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// As written, in NFC.
    text: String,
    /// What makes two spellings one account: NFC and full case folding.
    folded: String,
}

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most 254 bytes")]
pub struct InvalidEmail;

/// Characters that nobody sees, by which one address passes for another.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2028}'..='\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl Email {
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        if text.len() > MAX_BYTES {
            return Err(InvalidEmail);
        }
        let text: String = text.trim().nfc().collect();
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let shown = text.chars().all(|letter| !letter.is_control() && !turns_direction(letter) && !is_invisible(letter));
        if text.len() > MAX_BYTES || text.contains('"') || !shown || EmailAddress::parse_with_options(&text, options).is_err() {
            return Err(InvalidEmail);
        }
        let folded = caseless::default_case_fold_str(&text).nfc().collect();
        Ok(Self { text, folded })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.text.rsplit_once('@').map_or(&self.text, |(local, _)| local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        Email::parse(text).unwrap().folded().to_owned()
    }

    #[test]
    fn spellings_of_one_address_are_one_account() {
        assert_eq!(folded("Ada@Example.COM"), folded(" ada@example.com "));
        assert_eq!(folded("jos\u{e9}@example.com"), folded("JOSE\u{301}@example.com"));
        assert_eq!(folded("stra\u{df}e@example.com"), folded("STRASSE@example.com"));
        assert_ne!(folded("ada.l@example.com"), folded("adal@example.com"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(300));
        for text in [
            "",
            "ada",
            "@",
            "ada@",
            "@example.com",
            "ada@@example.com",
            "ada@localhost",
            "a b@example.com",
            "ada@exa mple.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            "\"a b\"@example.com",
            "ada@example.com\r\nBcc: x@example.com",
            "ada@example..com",
            "a\u{200b}da@example.com",
            "ada\u{202e}@example.com",
            "ada@exam\u{ad}ple.com",
            long.as_str(),
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }
}
