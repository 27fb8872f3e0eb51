//! Passwords: which are accepted, and their hashes.
//!
//! The rules are length and a list of common ones, nothing about composition (NIST SP 800-63B, section 3.1.1.2).
//! The list holds those of at least 15 characters from zxcvbn's and Django's lists, and what people make of the 1 000
//! most common shorter ones to reach 15: one repeated, or two in a row.

mod hasher;

use std::collections::HashSet;
use std::sync::LazyLock;

pub use hasher::{Busy, Hasher};

const MIN_CHARS: usize = 15;
/// Longer ones are refused, never cut.
pub const MAX_BYTES: usize = 1024;

static COMMON_LONG: LazyLock<HashSet<&'static str>> = LazyLock::new(|| include_str!("common_long.txt").lines().collect());
static COMMON_SHORT: LazyLock<HashSet<&'static str>> = LazyLock::new(|| include_str!("common_short.txt").lines().collect());

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    #[error("must have at least 15 characters")]
    Short,
    #[error("must have at most 1024 bytes")]
    Long,
    #[error("is one of the most common passwords")]
    Common,
}

/// Accepts the password exactly as given, or says why not.
pub fn check(password: &str) -> Result<(), Weakness> {
    if password.len() > MAX_BYTES {
        return Err(Weakness::Long);
    }
    if password.chars().count() < MIN_CHARS {
        return Err(Weakness::Short);
    }
    if is_common(&password.to_lowercase()) { Err(Weakness::Common) } else { Ok(()) }
}

/// No account has a longer password, so its first bytes are as wrong as the whole.
pub fn bounded(mut password: String) -> String {
    if password.len() > MAX_BYTES {
        password.truncate(password.floor_char_boundary(MAX_BYTES));
    }
    password
}

fn is_common(password: &str) -> bool {
    COMMON_LONG.contains(password) || is_common_repeated(password) || is_two_common(password)
}

/// `abcabcabcabcabca`: one character or one common password over and over, the last time perhaps cut off.
fn is_common_repeated(password: &str) -> bool {
    let starts = password.char_indices().map(|(at, _)| at).skip(1);
    starts.take_while(|at| *at <= password.len() / 2).any(|at| {
        let (unit, rest) = password.split_at(at);
        let common = unit.chars().count() == 1 || COMMON_SHORT.contains(unit);
        common && rest.bytes().zip(unit.bytes().cycle()).all(|(letter, expected)| letter == expected)
    })
}

fn is_two_common(password: &str) -> bool {
    password.char_indices().skip(1).any(|(at, _)| {
        let (first, second) = password.split_at(at);
        COMMON_SHORT.contains(first) && COMMON_SHORT.contains(second)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_and_bounded_in_bytes() {
        assert_eq!(check("vF9kq2LmZx8Tw1"), Err(Weakness::Short));
        assert_eq!(check("vF9kq2LmZx8Tw1R"), Ok(()));
        assert_eq!(check("żółwie-jedzą-a"), Err(Weakness::Short));
        assert_eq!(check("correct horse battery staple"), Ok(()));
        let random: String = (0..1024u32).map(|n| char::from(b'a' + u8::try_from(n * n % 23).unwrap())).collect();
        assert_eq!(check(&random), Ok(()));
        assert_eq!(check(&format!("{random}x")), Err(Weakness::Long));
    }

    #[test]
    fn common_ones_are_refused_in_any_case() {
        for password in [
            "1234567890qwerty",
            "PasswordPassword",
            "aaaaaaaaaaaaaaaaaaaa",
            "123456789012345",
            "passwordpasswordpassw",
            "iloveyouiloveyou",
            "Password12345678",
            "qwertyuiopqwertyuiop",
            "ééééééééééééééé",
        ] {
            assert_eq!(check(password), Err(Weakness::Common), "{password}");
        }
    }
}
