//! The files that a run left, as a client gets them.

use crate::ended::Ended;
use crate::{Finding, Kiln};

/// As the contract has them.
const MAX_FILES: usize = 1_000;
const MAX_TOTAL_BYTES: u64 = 50 * 1024 * 1024;
/// Lines of a host's account files; the sandbox's own passwd has none of these homes and shells.
const HOST_LINES: [&str; 4] = ["root:x:0:0:root:/root", "root:*:", "root:$", "daemon:x:1:1:"];

/// The file's bytes, by the API.
pub async fn content<K: Kiln>(kiln: &K, tenant: usize, ended: &Ended, path: &str) -> anyhow::Result<Vec<u8>> {
    let path: Vec<_> = path.split('/').map(escaped).collect();
    let answer = kiln.send(tenant, "GET", &format!("/executions/{}/files/{}", ended.id, path.join("/")), None).await?;
    anyhow::ensure!(answer.status == 200, "its file {} answered {}", path.join("/"), answer.status);
    Ok(answer.body)
}

/// There are as many as the contract allows, and not more.
pub fn bounded(ended: &Ended) -> Finding {
    let total: u64 = ended.files.iter().map(|file| file.size_bytes).sum();
    Finding::of(ended.files.len() <= MAX_FILES && total <= MAX_TOTAL_BYTES, || {
        format!("{} files of {total} bytes are kept", ended.files.len())
    })
}

/// Every path is relative, normal and printable, and there once.
pub fn listed_safely(ended: &Ended) -> Finding {
    let mut paths: Vec<&str> = ended.files.iter().map(|file| file.path.as_str()).collect();
    let unsafe_path = |path: &&&str| {
        path.starts_with('/') || path.chars().any(char::is_control) || path.split('/').any(|part| matches!(part, "" | "." | ".."))
    };
    if let Some(path) = paths.iter().find(unsafe_path) {
        return Finding::Fault(format!("a file is listed as {path:?}"));
    }
    paths.sort_unstable();
    Finding::of(paths.windows(2).all(|pair| pair.first() != pair.last()), || "two files have one name".to_owned())
}

/// No crash has left a dump of its memory.
pub fn no_core_file(ended: &Ended) -> Finding {
    let core = ended.files.iter().find(|file| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        name == "core" || name.strip_prefix("core.").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    Finding::of(core.is_none(), || format!("there is {}", core.map_or("", |file| file.path.as_str())))
}

/// Each can be read and has the length that the list says.
pub async fn regular_only<K: Kiln>(kiln: &K, tenant: usize, ended: &Ended) -> anyhow::Result<Finding> {
    for file in &ended.files {
        let length = content(kiln, tenant, ended, &file.path).await?.len() as u64;
        if length != file.size_bytes {
            return Ok(Finding::Fault(format!("{} has {length} bytes and is listed with {}", file.path, file.size_bytes)));
        }
    }
    Ok(Finding::Fine)
}

/// None holds a line of the host's account files.
pub async fn no_host_content<K: Kiln>(kiln: &K, tenant: usize, ended: &Ended) -> anyhow::Result<Finding> {
    for file in &ended.files {
        let bytes = content(kiln, tenant, ended, &file.path).await?;
        let text = String::from_utf8_lossy(&bytes);
        if let Some(line) = HOST_LINES.iter().find(|line| text.lines().any(|found| found.starts_with(**line))) {
            return Ok(Finding::Fault(format!("{} holds a line of the host: {line}", file.path)));
        }
    }
    Ok(Finding::Fine)
}

/// A part of a path in a URL.
fn escaped(part: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    part.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(paths: &[(&str, u64)]) -> Ended {
        let files: Vec<_> = paths.iter().map(|(path, size)| serde_json::json!({"path": path, "size_bytes": size})).collect();
        serde_json::from_value(serde_json::json!({
            "id": "1", "status": "succeeded", "exit_code": 0, "signal": null, "files": files,
        }))
        .unwrap()
    }

    #[test]
    fn listings_are_judged() {
        assert_eq!(listed_safely(&with(&[("a/b", 1), ("a/c", 1)])), Finding::Fine);
        for wrong in [[("/a", 1), ("b", 1)], [("a/../b", 1), ("b", 1)], [("a\n", 1), ("b", 1)], [("b", 1), ("b", 1)]] {
            assert!(matches!(listed_safely(&with(&wrong)), Finding::Fault(_)), "{wrong:?}");
        }
        assert!(matches!(bounded(&with(&[("a", MAX_TOTAL_BYTES), ("b", 1)])), Finding::Fault(_)));
        assert!(matches!(no_core_file(&with(&[("d/core.77", 1)])), Finding::Fault(_)));
        assert_eq!(no_core_file(&with(&[("core.py", 1)])), Finding::Fine);
    }

    #[test]
    fn paths_are_escaped() {
        assert_eq!(escaped("é #?.txt"), "%C3%A9%20%23%3F.txt");
    }
}
