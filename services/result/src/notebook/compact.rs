//! JSON text without the blanks between its tokens.

/// Deeper nesting is refused, so that whoever reads the document needs no deep stack.
const MAX_DEPTH: usize = 100;

/// The text is nested too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooDeep;

/// The same JSON with nothing between its tokens. The text must be JSON.
pub fn compact(json: &str) -> Result<String, TooDeep> {
    let mut compact = Vec::with_capacity(json.len());
    let (mut in_string, mut escaped, mut depth) = (false, false, 0_usize);
    for &byte in json.as_bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => continue,
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Err(TooDeep);
            }
        }
        compact.push(byte);
    }
    // Only ASCII was left out.
    Ok(String::from_utf8(compact).expect("UTF-8 without some ASCII is UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_strings_stay() {
        assert_eq!(compact("{ \"a b\" : [ 1 ,\n\t\"\\\" x \\\\\" , 1.50e400 ] }").unwrap(), r#"{"a b":[1,"\" x \\",1.50e400]}"#);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(compact(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(compact(&nested(MAX_DEPTH + 1)), Err(TooDeep));
    }
}
