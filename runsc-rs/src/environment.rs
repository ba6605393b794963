//! Who the guest is and what it finds in its environment.

use crate::cli::User;
use crate::error::{Failure, Result};
use crate::users;
use rustix::process::{getegid, geteuid, getgroups};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where programs are searched, as on Debian for root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables of the caller that are passed on unasked: without them a terminal program cannot
/// draw and times are shown in another zone.
const PASSED_ON: &[&str] = &["TERM", "LANG", "TZ"];

/// Who the guest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The name, if it has one.
    pub name: Option<Vec<u8>>,
    /// The home directory.
    pub home: PathBuf,
}

impl Identity {
    /// The caller, or whom `--user` names. Names are those of `root`'s passwd file.
    pub fn new(user: Option<User>, root: &Path) -> Result<Identity> {
        let (uid, gid, groups) = match user {
            Some(user) => (user.uid, user.gid, Vec::new()),
            None => {
                let groups = getgroups().map_err(|error| {
                    Failure::own(format!("cannot ask for the groups of the caller: {error}"))
                })?;
                let groups = groups.iter().map(|group| group.as_raw()).collect();
                (geteuid().as_raw(), getegid().as_raw(), groups)
            }
        };
        let entry = users::find(root, uid);
        let home = match (&entry, uid) {
            (_, 0) => PathBuf::from("/root"),
            (Some(entry), _) if is_plain(&entry.home) => entry.home.clone(),
            _ => PathBuf::from("/"),
        };
        Ok(Identity { uid, gid, groups, name: entry.map(|entry| entry.name), home })
    }
}

/// An absolute path that goes nowhere but down.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == std::path::Component::ParentDir)
}

/// The environment: what every program needs, what is passed on, and what `--env` says.
pub fn variables(
    identity: &Identity,
    requested: &[OsString],
    caller: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Vec<Vec<u8>>> {
    let mut variables: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    variables.insert(b"PATH".into(), PATH.into());
    variables.insert(b"HOME".into(), identity.home.as_os_str().as_bytes().into());
    if let Some(name) = &identity.name {
        variables.insert(b"USER".into(), name.clone());
    }
    for name in PASSED_ON {
        if let Some(value) = caller(OsStr::new(name)) {
            variables.insert(name.as_bytes().into(), value.as_bytes().into());
        }
    }
    for request in requested {
        let bytes = request.as_bytes();
        let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(end) => (&bytes[..end], Some(bytes[end + 1..].to_vec())),
            None => (bytes, caller(request).map(|value| value.as_bytes().to_vec())),
        };
        if name.is_empty() {
            let shown = request.to_string_lossy();
            return Err(Failure::own(format!("--env {shown}: write it as NAME=VALUE or NAME")));
        }
        // A variable that the caller does not have is not set, and hides a default of ours.
        match value {
            Some(value) => variables.insert(name.into(), value),
            None => variables.remove(name),
        };
    }
    Ok(variables.into_iter().map(|(name, value)| [&name[..], b"=", &value].concat()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables_of(requested: &[&str]) -> Result<Vec<String>> {
        let identity = Identity {
            uid: 1000,
            gid: 1000,
            groups: vec![],
            name: Some(b"ann".into()),
            home: "/home/ann".into(),
        };
        let caller = |name: &OsStr| match name.to_str() {
            Some("TERM") => Some("xterm".into()),
            Some("TOKEN") => Some("secret".into()),
            Some("PATH") => Some("/home/ann/bin".into()),
            _ => None,
        };
        let requested: Vec<_> = requested.iter().map(OsString::from).collect();
        let variables = variables(&identity, &requested, caller)?;
        Ok(variables.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect())
    }

    #[test]
    fn little_is_passed_on() {
        let path = format!("PATH={PATH}");
        let expected = ["HOME=/home/ann", path.as_str(), "TERM=xterm", "USER=ann"];
        assert_eq!(variables_of(&[]).unwrap(), expected);
    }

    #[test]
    fn variables_can_be_set_passed_on_and_hidden() {
        let variables = variables_of(&["TOKEN", "HOME=/", "A=b=c", "EMPTY=", "USER", "PATH"]);
        let expected =
            ["A=b=c", "EMPTY=", "HOME=/", "PATH=/home/ann/bin", "TERM=xterm", "TOKEN=secret"];
        assert_eq!(variables.unwrap(), expected);
        assert!(variables_of(&["=x"]).is_err() && variables_of(&[""]).is_err());
    }
}
