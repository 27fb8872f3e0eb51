//! The one table of what roles and API keys may do. Which operation asks for which permission is in `operations.rs`.

use kiln_domain::{Role, Scope};

/// Something a route may ask of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    ExecutionsRead,
    /// Submit runs; cancel, retry and delete one's own.
    ExecutionsWrite,
    /// Cancel, retry and delete those of others in the tenant.
    ExecutionsManage,
    FilesRead,
    /// Make workspaces; write files, change and delete workspaces of one's own.
    FilesWrite,
    /// Change and delete workspaces of others in the tenant.
    FilesManage,
    SessionsRead,
    SessionsWrite,
    /// Use and delete those of others in the tenant.
    SessionsManage,
    /// See the current tenant, its limits and what it uses.
    TenantRead,
    /// Change the tenant, its members, invitations and secrets; read its audit log and usage.
    TenantManage,
    /// Leave the tenant; whoever manages it may make others leave.
    TenantLeave,
    /// End the tenant with all it has.
    TenantDelete,
    /// Make, list and revoke API keys.
    ApiKeysManage,
    /// One's own account, sign-ins and tenants.
    Account,
    /// Routes for those who run the installation; hidden from everyone else.
    Platform,
}

/// Who holds a permission.
struct Rule {
    /// The weakest role that holds it; none is for platform admins alone.
    role: Option<Role>,
    /// Scopes of API keys that hold it; none means that no key ever does.
    scopes: &'static [Scope],
}

impl Permission {
    pub const ALL: [Self; 16] = [
        Self::ExecutionsRead,
        Self::ExecutionsWrite,
        Self::ExecutionsManage,
        Self::FilesRead,
        Self::FilesWrite,
        Self::FilesManage,
        Self::SessionsRead,
        Self::SessionsWrite,
        Self::SessionsManage,
        Self::TenantRead,
        Self::TenantManage,
        Self::TenantLeave,
        Self::TenantDelete,
        Self::ApiKeysManage,
        Self::Account,
        Self::Platform,
    ];

    fn rule(self) -> Rule {
        let rule = |role, scopes| Rule { role: Some(role), scopes };
        match self {
            Self::ExecutionsRead => rule(Role::Viewer, &[Scope::ExecutionsRead]),
            Self::ExecutionsWrite => rule(Role::Member, &[Scope::ExecutionsWrite]),
            Self::ExecutionsManage => rule(Role::Admin, &[Scope::ExecutionsWrite]),
            Self::FilesRead => rule(Role::Viewer, &[Scope::FilesRead]),
            Self::FilesWrite => rule(Role::Member, &[Scope::FilesWrite]),
            Self::FilesManage => rule(Role::Admin, &[Scope::FilesWrite]),
            Self::SessionsRead => rule(Role::Viewer, &[Scope::SessionsWrite]),
            Self::SessionsWrite => rule(Role::Member, &[Scope::SessionsWrite]),
            Self::SessionsManage => rule(Role::Admin, &[Scope::SessionsWrite]),
            Self::TenantRead => rule(Role::Viewer, &Scope::ALL),
            Self::TenantManage => rule(Role::Admin, &[Scope::TenantAdmin]),
            Self::TenantLeave => rule(Role::Viewer, &[Scope::TenantAdmin]),
            Self::TenantDelete => rule(Role::Owner, &[]),
            Self::ApiKeysManage => rule(Role::Admin, &[]),
            Self::Account => rule(Role::Viewer, &[]),
            Self::Platform => Rule { role: None, scopes: &[] },
        }
    }

    /// Whether a member of this role holds it.
    pub fn held_by_role(self, role: Role) -> bool {
        self.rule().role.is_some_and(|least| role >= least)
    }

    /// Whether an API key with these scopes holds it.
    pub fn held_by_scopes(self, scopes: &[Scope]) -> bool {
        self.rule().scopes.iter().any(|scope| scopes.contains(scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_role_holds_all_that_a_weaker_one_does() {
        for permission in Permission::ALL {
            for pair in Role::ALL.windows(2) {
                assert!(!permission.held_by_role(pair[0]) || permission.held_by_role(pair[1]), "{permission:?}");
            }
        }
    }

    #[test]
    fn viewers_only_read() {
        let held: Vec<_> = Permission::ALL.into_iter().filter(|permission| permission.held_by_role(Role::Viewer)).collect();
        use Permission::{Account, ExecutionsRead, FilesRead, SessionsRead, TenantLeave, TenantRead};
        assert_eq!(held, [ExecutionsRead, FilesRead, SessionsRead, TenantRead, TenantLeave, Account]);
    }

    #[test]
    fn no_api_key_reaches_accounts_keys_or_the_platform() {
        for permission in [Permission::Account, Permission::ApiKeysManage, Permission::Platform] {
            assert!(!permission.held_by_scopes(&Scope::ALL), "{permission:?}");
        }
    }

    #[test]
    fn each_scope_opens_its_own_part_alone() {
        let opens =
            |scope| Permission::ALL.into_iter().filter(|permission| permission.held_by_scopes(&[scope])).collect::<Vec<_>>();
        use Permission as P;
        assert_eq!(opens(Scope::ExecutionsRead), [P::ExecutionsRead, P::TenantRead]);
        assert_eq!(opens(Scope::ExecutionsWrite), [P::ExecutionsWrite, P::ExecutionsManage, P::TenantRead]);
        assert_eq!(opens(Scope::FilesRead), [P::FilesRead, P::TenantRead]);
        assert_eq!(opens(Scope::TenantAdmin), [P::TenantRead, P::TenantManage, P::TenantLeave]);
    }
}
