//! How a file that a tenant named is offered: to be kept, never to be shown by a browser.

use axum::http::HeaderValue;

use crate::Problem;

/// `attachment` with the file's own name, percent-encoded (RFC 8187), since a program chose it.
pub fn attachment(path: &str) -> Result<HeaderValue, Problem> {
    use std::fmt::Write as _;
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut value = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}"); // writing to a string cannot fail
        }
    }
    HeaderValue::from_str(&value).map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_a_name() {
        let value = attachment("a/<img src=x>\r\n\"é.txt").unwrap();
        assert_eq!(value.to_str().unwrap(), "attachment; filename*=UTF-8''%3Cimg%20src%3Dx%3E%0D%0A%22%C3%A9.txt");
    }
}
