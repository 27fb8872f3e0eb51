//! The system calls a program may make, as data, compiled before the program is there.
//!
//! Three filters are stacked, and a call is made only when all of them let it through:
//! 1. device controls outside a short list are `ENOTTY`;
//! 2. arguments that are refused by policy are `EPERM`;
//! 3. calls that are refused by policy are `EPERM`, and what is on neither list, unknown numbers and the x32 range
//!    included, is `ENOSYS`, so that a C library falls back (`clone3`) as on an older kernel. This one is installed
//!    last, because it refuses the installing of filters as well.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Compare, SeccompCondition,
    SeccompFilter, SeccompRule,
};

#[path = "filter_table.rs"]
mod table;
#[path = "filter_tree.rs"]
mod tree;

use tree::Decision;

use table::{
    ALLOWED, DEVICE_CONTROLS, FILE_CONTROLS_REFUSED, HUGE_FILE, HUGE_MAPPING, NEW_NAMESPACES, PROCESS_CONTROLS, REFUSED,
    SOCKET_OPTIONS_REFUSED,
};

/// The compiled filters, in the order in which they are installed.
pub struct Filters(Vec<BpfProgram>);

/// The numbers on the allow list.
pub fn allowed_system_calls() -> &'static [c_long] {
    ALLOWED
}

impl Filters {
    pub fn compile() -> Result<Self, BackendError> {
        let devices = filter(devices()?, libc::ENOTTY)?;
        let arguments = filter(arguments()?, libc::EPERM)?;
        let allowed = ALLOWED.iter().map(|&number| (number, Decision::Allow));
        let refused = REFUSED.iter().map(|&number| (number, Decision::Fail(libc::EPERM)));
        let calls = tree::compile(allowed.chain(refused), Decision::Fail(libc::ENOSYS));
        Ok(Self(vec![devices, arguments, calls.ok_or(BackendError::FilterTooLarge(ALLOWED.len() + REFUSED.len()))?]))
    }

    /// Installs every filter on the calling thread, for good. `no_new_privs` is set by it.
    pub fn install(&self) -> Result<(), seccompiler::Error> {
        self.0.iter().try_for_each(|program| seccompiler::apply_filter(program))
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Fails what the rules match.
fn filter(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), architecture)?.try_into()
}

fn arguments() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let namespaces = NEW_NAMESPACES.iter().map(|&flag| {
        let flag = u64::from(flag.unsigned_abs());
        SeccompRule::new(vec![SeccompCondition::new(0, Length::Qword, Compare::MaskedEq(flag), flag)?])
    });
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    for number in [libc::SYS_socket, libc::SYS_socketpair] {
        let family = SeccompCondition::new(0, Length::Dword, Compare::Ne, u64::from(libc::AF_UNIX.unsigned_abs()))?;
        rules.insert(number, vec![SeccompRule::new(vec![family])?]);
    }
    // Asking for the personality is allowed, setting the ordinary one too.
    let asks = SeccompCondition::new(0, Length::Dword, Compare::Ne, 0xFFFF_FFFF)?;
    let ordinary = SeccompCondition::new(0, Length::Dword, Compare::Ne, 0)?;
    rules.insert(libc::SYS_personality, vec![SeccompRule::new(vec![asks, ordinary])?]);
    rules.insert(libc::SYS_prctl, vec![none_of(0, PROCESS_CONTROLS)?]);
    rules.insert(libc::SYS_fcntl, each_of(1, FILE_CONTROLS_REFUSED)?);
    rules.insert(libc::SYS_setsockopt, each_of(2, SOCKET_OPTIONS_REFUSED)?);
    for (number, argument, bit) in [(libc::SYS_mmap, 3, HUGE_MAPPING), (libc::SYS_memfd_create, 1, HUGE_FILE)] {
        let huge = SeccompCondition::new(argument, Length::Dword, Compare::MaskedEq(bit), bit)?;
        rules.insert(number, vec![SeccompRule::new(vec![huge])?]);
    }
    Ok(rules)
}

fn devices() -> Result<Rules, BackendError> {
    Ok(Rules::from([(libc::SYS_ioctl, vec![none_of(1, DEVICE_CONTROLS)?])]))
}

/// Matches when the argument is none of these.
fn none_of(argument: u8, values: &[u64]) -> Result<SeccompRule, BackendError> {
    let none = values.iter().map(|&value| SeccompCondition::new(argument, Length::Dword, Compare::Ne, value));
    SeccompRule::new(none.collect::<Result<_, _>>()?)
}

/// Match when the argument is one of these.
fn each_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let each = values.iter().map(|&value| SeccompCondition::new(argument, Length::Dword, Compare::Eq, value));
    each.map(|condition| SeccompRule::new(vec![condition?])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compile_and_no_call_is_both_allowed_and_refused() {
        Filters::compile().unwrap();
        for number in REFUSED {
            assert!(!ALLOWED.contains(number), "{number} is on both lists");
        }
        for number in [libc::SYS_clone3, libc::SYS_seccomp, libc::SYS_vmsplice, libc::SYS_inotify_init1] {
            assert!(!ALLOWED.contains(&number));
        }
    }
}
