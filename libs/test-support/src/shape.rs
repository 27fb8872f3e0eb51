//! Comparing a JSON body with what the contract says of it.

use serde_json::Value;

/// Panics unless `actual` is like `expected`: every field named there is present and alike (further fields are allowed,
/// as the contract allows them), arrays have the same length, and these texts stand for a kind of value: `<uuid>`
/// (version 7), `<time>` (RFC 3339, UTC), `<string>` (not empty), `<integer>`, `<boolean>`, `<any>`.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "expected values are written in place with json!")]
pub fn assert_like(actual: &Value, expected: Value) {
    if let Err(difference) = compare(actual, &expected, "") {
        panic!("{difference}\nin {actual:#}");
    }
}

fn compare(actual: &Value, expected: &Value, at: &str) -> Result<(), String> {
    let differs = || Err(format!("at \"{at}\": expected {expected}, found {actual}"));
    match (expected, actual) {
        (Value::Object(fields), Value::Object(found)) => fields.iter().try_for_each(|(name, expected)| {
            let at = format!("{at}/{name}");
            match found.get(name) {
                Some(actual) => compare(actual, expected, &at),
                None => Err(format!("\"{at}\" is missing")),
            }
        }),
        (Value::Array(items), Value::Array(found)) if items.len() == found.len() => items
            .iter()
            .zip(found)
            .enumerate()
            .try_for_each(|(index, (expected, actual))| compare(actual, expected, &format!("{at}/{index}"))),
        (Value::String(kind), _) if kind.starts_with('<') && kind.ends_with('>') => {
            if is_kind(actual, kind) {
                Ok(())
            } else {
                differs()
            }
        }
        _ if expected == actual => Ok(()),
        _ => differs(),
    }
}

fn is_kind(value: &Value, kind: &str) -> bool {
    match kind {
        "<uuid>" => value.as_str().and_then(|text| uuid::Uuid::parse_str(text).ok()).is_some_and(|id| id.get_version_num() == 7),
        "<time>" => value.as_str().is_some_and(is_utc_time),
        "<string>" => value.as_str().is_some_and(|text| !text.is_empty()),
        "<integer>" => value.is_u64() || value.is_i64(),
        "<boolean>" => value.is_boolean(),
        "<any>" => true,
        _ => panic!("{kind} is no kind of value"),
    }
}

/// Whether the text is like `2026-11-21T08:00:00.123Z`.
fn is_utc_time(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd";
    let Some((head, tail)) = text.split_at_checked(pattern.len()) else { return false };
    let fits = head.chars().zip(pattern.chars()).all(|(c, p)| if p == 'd' { c.is_ascii_digit() } else { c == p });
    let Some(fraction) = tail.strip_suffix('Z') else { return false };
    let digits = fraction.strip_prefix('.').unwrap_or(fraction);
    fits && digits.chars().all(|c| c.is_ascii_digit()) && (fraction.is_empty() || !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn further_fields_are_allowed_and_missing_ones_named() {
        let actual = json!({"id": "0199f0a0-0000-7000-8000-000000000000", "at": "2026-11-21T08:00:00.5Z", "n": [1, 2], "x": 1});
        assert_eq!(compare(&actual, &json!({"id": "<uuid>", "at": "<time>", "n": [1, "<integer>"]}), ""), Ok(()));
        assert_eq!(compare(&actual, &json!({"y": "<any>"}), ""), Err("\"/y\" is missing".to_owned()));
        assert!(compare(&actual, &json!({"n": [1]}), "").is_err());
        assert!(compare(&actual, &json!({"x": null}), "").is_err());
    }

    #[test]
    fn only_utc_times_are_times() {
        assert!(is_utc_time("2026-11-21T08:00:00Z"));
        for wrong in ["2026-11-21T08:00:00+01:00", "2026-11-21 08:00:00Z", "2026-11-21T08:00:00", "2026-11-21T08:00:00.Z", "é"] {
            assert!(!is_utc_time(wrong), "{wrong}");
        }
    }
}
