//! `desk` without a running process.

mod account;
mod kill;
mod process;

use std::process::Command;

fn desk(data: &std::path::Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_desk"))
        .arg("--data")
        .arg(data)
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn without_a_process_and_a_journal_it_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    for verb in ["status", "orders", "positions"] {
        let (code, out, error) = desk(folder.path(), &[verb]);
        assert_eq!((code, out.as_str()), (Some(4), ""), "{verb}");
        assert!(error.contains("name the data folder with --data"), "{error}");
    }
    let (code, _, error) = desk(folder.path(), &["limits", "confirm"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no process answers"), "{error}");
    let (code, out, _) = desk(folder.path(), &["doctor"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("no process runs here, and none has run"), "{out}");
}

#[test]
fn a_folder_that_others_can_read_is_bad_for_the_doctor() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (code, out, _) = desk(folder.path(), &["doctor"]);
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("BAD") && out.contains("chmod 700"), "{out}");
}
