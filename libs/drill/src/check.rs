//! The checks that a program asks for in `after`: each is made by the API, from outside by whoever has the host, or not.

use std::time::Duration;

/// What is looked at once a program has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    NoSurvivors,
    CgroupGone,
    NextRunOk,
    HostResponsive,
    SupervisorAlive,
    OtherRunsAlive,
    ResultWithin(Duration),
    ResultWithinLimit,
    WorkspaceStable,
    WorkspaceRemoved,
    DiskFreed,
    HostInodesRestored,
    ShmEmpty,
    TmpEmpty,
    HostMemoryFlat,
    HostSysvipcUnchanged,
    NatsMessagesBounded,
    HostPortsUnaffected,
    ArtifactsHaveNoHostContent,
    ArtifactsRegularOnly,
    ArtifactsNoSpecialBits,
    ArtifactsBounded,
    ArtifactsListedSafely,
    NoFileOutsideWorkspace,
    NoMarkerFile,
    NoCoreFile,
    DashboardNoScriptExecution,
    /// A name that this version does not know.
    Unknown(String),
}

const NAMES: [(&str, Check); 29] = [
    ("no_survivors", Check::NoSurvivors),
    ("cgroup_gone", Check::CgroupGone),
    ("next_run_ok", Check::NextRunOk),
    ("host_responsive", Check::HostResponsive),
    ("supervisor_alive", Check::SupervisorAlive),
    ("other_runs_alive", Check::OtherRunsAlive),
    ("result_within_5s", Check::ResultWithin(Duration::from_secs(5))),
    ("result_within_10s", Check::ResultWithin(Duration::from_secs(10))),
    ("result_within_30s", Check::ResultWithin(Duration::from_secs(30))),
    ("result_within_limit", Check::ResultWithinLimit),
    ("workspace_stable", Check::WorkspaceStable),
    ("workspace_removed_within_10s", Check::WorkspaceRemoved),
    ("disk_freed", Check::DiskFreed),
    ("host_inodes_restored", Check::HostInodesRestored),
    ("shm_empty", Check::ShmEmpty),
    ("tmp_empty", Check::TmpEmpty),
    ("host_memory_flat", Check::HostMemoryFlat),
    ("host_sysvipc_unchanged", Check::HostSysvipcUnchanged),
    ("nats_messages_bounded", Check::NatsMessagesBounded),
    ("host_ports_unaffected", Check::HostPortsUnaffected),
    ("artifacts_have_no_host_content", Check::ArtifactsHaveNoHostContent),
    ("artifacts_regular_only", Check::ArtifactsRegularOnly),
    ("artifacts_no_special_bits", Check::ArtifactsNoSpecialBits),
    ("artifacts_bounded", Check::ArtifactsBounded),
    ("artifacts_listed_safely", Check::ArtifactsListedSafely),
    ("no_file_outside_workspace", Check::NoFileOutsideWorkspace),
    ("no_marker_file", Check::NoMarkerFile),
    ("no_core_file", Check::NoCoreFile),
    ("dashboard_no_script_execution", Check::DashboardNoScriptExecution),
];

impl Check {
    pub fn named(name: &str) -> Self {
        let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, check)| check.clone());
        known.unwrap_or_else(|| Self::Unknown(name.to_owned()))
    }

    pub fn name(&self) -> &str {
        if let Self::Unknown(name) = self {
            return name;
        }
        NAMES.iter().find(|(_, check)| check == self).map_or("", |(name, _)| name)
    }

    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    Fine,
    /// In plain words, with the figures.
    Fault(String),
    /// It was not made, and why.
    NotMade(String),
}

impl Finding {
    /// Fine when it holds, else the fault.
    pub fn of(holds: bool, fault: impl FnOnce() -> String) -> Self {
        if holds { Self::Fine } else { Self::Fault(fault()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_the_checks_own() {
        for (name, check) in NAMES {
            assert_eq!(Check::named(name), check);
            assert_eq!(check.name(), name);
        }
        assert_eq!(Check::named("new").name(), "new");
        assert!(!Check::named("new").is_known());
    }
}
