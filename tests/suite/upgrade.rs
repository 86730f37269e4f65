//! Indexes of older versions.

use crate::harness::{Sandbox, stdout_of_success};

#[test]
fn an_index_of_an_older_format_is_upgraded() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let catalog = rusqlite::Connection::open(sandbox.index_dir().join("catalog.sqlite")).unwrap();
    for back in [
        include_str!("../../store/catalog/back_to_3.sql"),
        include_str!("../../store/catalog/back_to_2.sql"),
    ] {
        catalog.execute_batch(back).unwrap();
    }
    drop(catalog);
    let output = sandbox.command("jobs").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("run `autorag index`"),
        "{said}"
    );
    sandbox.write("new.md", "# New\n\nOstriches run fast.\n");
    let said = sandbox.index();
    assert!(
        said.contains("1 added, 0 changed, 0 removed, 5 unchanged"),
        "{said}"
    );
    let jobs = stdout_of_success(&sandbox.command("jobs").arg("--json").output().unwrap());
    assert_eq!(jobs.lines().count(), 1);
}
