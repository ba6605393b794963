use super::*;
use crate::testing::TempDir;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A host with a merged /usr, a user with a project, and things that are nobody's business.
fn host() -> (TempDir, Host) {
    let dir = TempDir::new();
    for path in [
        "usr/bin",
        "usr/lib",
        "etc",
        "opt",
        "home/user/project/sub",
        "home/user/.ssh",
        "home/other",
        "root/.ssh",
        "var/lib/secret",
        "var/log/private",
        "run/docker",
        "tmp/work",
        "srv/www",
        "nix/store/pkg",
        "nix/var",
        "data",
        "boot/grub",
    ] {
        dir.dir(path);
    }
    for path in ["usr/bin/tool", "home/user/bin/app-1", "var/spool/x", "swapfile"] {
        dir.file(path, "");
    }
    for (target, link) in [
        ("usr/bin", "bin"),
        ("usr/lib", "lib"),
        ("/run", "var/run"),
        ("app-1", "home/user/bin/app"),
    ] {
        symlink(target, dir.path().join(link)).unwrap();
    }
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(dir.path().join("home/user"), mode).unwrap();
    let host = Host::at(dir.path().to_owned());
    (dir, host)
}

/// The view as lines of text.
fn lines(view: &View) -> Vec<String> {
    let root = |id: &u32| {
        let root = view.roots.iter().find(|root| root.id == *id).unwrap();
        let kind = if root.read_only { "" } else { " rw" };
        format!("{}{kind}", root.source.display())
    };
    let describe = |kind: &MountKind| match kind {
        MountKind::Memory { attributes } => format!("memory {:o}", attributes.mode),
        MountKind::Overlay { root: id } => format!("overlay {}", root(id)),
        MountKind::Gofer { root: id, .. } => format!("files {}", root(id)),
        MountKind::Proc => "proc".into(),
        MountKind::Dev => "dev".into(),
        MountKind::Pts => "pts".into(),
        MountKind::Sys => "sys".into(),
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    view.config
        .steps
        .iter()
        .map(|step| match step {
            Step::Directory { path, attributes } => {
                format!("{} dir {:o}", text(path), attributes.mode)
            }
            Step::Symlink { path, target } => format!("{} -> {}", text(path), text(target)),
            Step::Mount { path, kind } => format!("{} = {}", text(path), describe(kind)),
        })
        .collect()
}

fn has(lines: &[String], line: &str) -> bool {
    lines.iter().any(|other| other == line)
}

/// The sources of all roots: whatever else the view says, the guest can see no more than that.
fn sources(view: &View) -> Vec<&str> {
    let mut sources: Vec<_> = view.roots.iter().map(|root| root.source.to_str().unwrap()).collect();
    sources.sort_unstable();
    sources
}

#[test]
fn the_default_shows_the_system_and_the_current_directory_only() {
    let (_dir, host) = host();
    let cwd = Path::new("/home/user/project");
    let request =
        Request { cwd: Some(cwd), home: Some(Path::new("/home/user")), ..Request::default() };
    let view = View::new(&host, &request);
    assert_eq!(sources(&view), ["/etc", "/home/user/project", "/nix/store", "/opt", "/usr"]);
    assert!(view.roots.iter().all(|root| root.read_only && !root.shared));
    let lines = lines(&view);
    for line in [
        "/bin -> usr/bin",
        "/lib -> usr/lib",
        "/usr = overlay /usr",
        "/nix/store = overlay /nix/store",
        "/home/user dir 700",
        "/home/user/project = overlay /home/user/project",
        "/tmp = memory 1777",
        "/var/run -> /run",
        "/proc = proc",
        "/dev = dev",
        "/dev/pts = pts",
        "/dev/shm = memory 1777",
    ] {
        assert!(has(&lines, line), "{line} is missing: {lines:#?}");
    }
    // Names that would tell something about the host.
    let text = lines.join("\n");
    for name in ["other", "ssh", "secret", "private", "docker", "/data", "swapfile", "/nix/var"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    assert_eq!(view.cwd, cwd);
}

#[test]
fn what_lies_in_something_comes_after_it() {
    let (_dir, host) = host();
    let tmpfs = [PathBuf::from("/tmp/work/a/b")];
    let request =
        Request { cwd: Some(Path::new("/tmp/work")), tmpfs: &tmpfs, ..Request::default() };
    let view = View::new(&host, &request);
    let paths: Vec<_> = view.config.steps.iter().map(|step| step.path().to_vec()).collect();
    for (index, path) in paths.iter().enumerate() {
        let inside = |other: &&Vec<u8>| other.starts_with(&[path, &b"/"[..]].concat());
        assert!(!paths[..index].iter().any(|other| inside(&other)), "{paths:?}");
    }
    assert!(has(&lines(&view), "/tmp/work = overlay /tmp/work"));
}

#[test]
fn the_root_directory_shows_nothing_more() {
    let (_dir, host) = host();
    let view = View::new(&host, &Request { cwd: Some(Path::new("/")), ..Request::default() });
    assert_eq!(sources(&view), ["/etc", "/nix/store", "/opt", "/usr"]);
    assert_eq!(view.cwd, Path::new("/"));
}

#[test]
fn a_directory_that_is_shown_already_is_not_shown_twice() {
    let (_dir, host) = host();
    let view =
        View::new(&host, &Request { cwd: Some(Path::new("/usr/lib")), ..Request::default() });
    assert_eq!(sources(&view), ["/etc", "/nix/store", "/opt", "/usr"]);
    assert_eq!(view.cwd, Path::new("/usr/lib"));
    let gone = View::new(&host, &Request { cwd: Some(Path::new("/proc/1")), ..Request::default() });
    assert_eq!(gone.cwd, Path::new("/"));
}

#[test]
fn the_program_is_shown_with_the_links_to_it() {
    let (_dir, host) = host();
    let program = Path::new("/home/user/bin/app");
    let view = View::new(&host, &Request { program: Some(program), ..Request::default() });
    let lines = lines(&view);
    assert!(has(&lines, "/home/user/bin/app -> app-1"), "{lines:#?}");
    assert!(has(&lines, "/home/user/bin/app-1 = files /home/user/bin/app-1"), "{lines:#?}");

    for program in ["/usr/bin/tool", "/home/user/bin", "/nothing"] {
        let request = Request { program: Some(Path::new(program)), ..Request::default() };
        assert_eq!(sources(&View::new(&host, &request)).len(), 4, "{program}");
    }
}

#[test]
fn binds_replace_what_was_there() {
    let (_dir, host) = host();
    let cwd = Path::new("/home/user/project");
    let binds = [
        Bind { source: cwd.into(), target: cwd.into(), read_only: false },
        Bind { source: "/data".into(), target: "/mnt/new/data".into(), read_only: true },
    ];
    let view = View::new(&host, &Request { cwd: Some(cwd), binds: &binds, ..Request::default() });
    let lines = lines(&view);
    assert!(has(&lines, "/home/user/project = files /home/user/project rw"), "{lines:#?}");
    assert!(has(&lines, "/mnt/new/data = files /data"), "{lines:#?}");
    assert!(has(&lines, "/mnt/new dir 755"), "{lines:#?}");
    let project = view.roots.iter().filter(|root| root.source == cwd).count();
    assert_eq!(project, 1, "the covered overlay is not served");
    assert!(view.roots.iter().filter(|root| root.shared).count() == 2);
}

#[test]
fn nothing_is_made_up_in_what_the_caller_shows() {
    let (_dir, host) = host();
    let bind =
        |target: &str| Bind { source: "/data".into(), target: target.into(), read_only: false };
    let binds = [bind("/var"), bind("/home/user"), bind("/nix"), bind("/bin")];
    let cwd = Path::new("/home/user/project");
    let view = View::new(&host, &Request { cwd: Some(cwd), binds: &binds, ..Request::default() });
    for line in lines(&view) {
        for bind in &binds {
            let target = bind.target.to_str().unwrap();
            if line.starts_with(&format!("{target} ")) || line.starts_with(&format!("{target}/")) {
                assert_eq!(line, format!("{target} = files /data rw"));
            }
        }
    }
    // But one thing the caller asks for may lie in another.
    let binds = [bind("/mnt/a/b"), bind("/mnt/a")];
    let view = View::new(&host, &Request { binds: &binds, ..Request::default() });
    let lines = lines(&view);
    let place = |line: &str| lines.iter().position(|other| other == line).unwrap();
    assert!(place("/mnt/a = files /data rw") < place("/mnt/a/b = files /data rw"));
}

#[test]
fn another_root_is_one_overlay() {
    let (_dir, host) = host();
    let root = Path::new("/srv/www");
    let request = Request { root: Some(root), cwd: Some(Path::new("/data")), ..Request::default() };
    let view = View::new(&host, &request);
    assert_eq!(view.config.root, MountKind::Overlay { root: 0 });
    assert_eq!(sources(&view), ["/srv/www"]);
    assert_eq!(view.cwd, Path::new("/"));
    let lines = lines(&view);
    assert!(has(&lines, "/proc = proc") && !lines.iter().any(|line| line.starts_with("/tmp")));

    let all = Request { root: Some(Path::new("/")), cwd: Some(Path::new("/data")), ..request };
    let view = View::new(&host, &all);
    assert_eq!(sources(&view), ["/"]);
    assert_eq!(view.cwd, Path::new("/data"));
}
