use std::fs::{self, File};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A folder with a data file, a secret, two attachments, and the archive of them.
struct Site {
    folder: TempDir,
    archive: PathBuf,
    manifest: Manifest,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("attachments")).unwrap();
        for (name, content) in [("desk.db", "data"), ("desk.db.secret", "s3cret"), ("attachments/a.png", "picture")] {
            fs::write(at(name), content).unwrap();
        }
        fs::write(at("attachments/long.bin"), vec![7; 1 << 20]).unwrap();
        let contents = Contents {
            data: at("desk.db"),
            schema: 13,
            taken_at: "2026-01-02T03:04:05.000Z".into(),
            secret: Some(at("desk.db.secret")),
            folder: at("attachments"),
            files: vec!["a.png".into(), "gone.png".into(), "long.bin".into()],
        };
        let archive = at("backup.tar");
        let manifest = write(&archive, &contents).unwrap();
        Self { folder, archive, manifest }
    }

    fn target(&self) -> PathBuf {
        let target = self.folder.path().join("target");
        drop(fs::remove_dir_all(&target));
        fs::create_dir(&target).unwrap();
        target
    }

    /// What reading reports once the archive was changed.
    fn broken(&self, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = fs::read(&self.archive).unwrap();
        change(&mut bytes);
        let broken = self.folder.path().join("broken.tar");
        fs::write(&broken, bytes).unwrap();
        let error = check(&broken).unwrap_err().to_string();
        assert_eq!(extract(&broken, &self.target()).unwrap_err().to_string(), error);
        error
    }
}

#[test]
fn what_is_written_can_be_unpacked() {
    let site = Site::new();
    assert_eq!(site.manifest.missing, ["gone.png"]);
    assert!(site.manifest.has_secret());
    assert_eq!(check(&site.archive).unwrap(), site.manifest);
    let target = site.target();
    assert_eq!(extract(&site.archive, &target).unwrap(), site.manifest);
    let read = |name: &str| fs::read(target.join(name)).unwrap();
    assert_eq!((read(DATA), read(SECRET), read("files/a.png")), (b"data".into(), b"s3cret".into(), b"picture".into()));
    assert_eq!(read("files/long.bin"), vec![7; 1 << 20]);
    assert_eq!(site.manifest.files(), 2);
}

#[cfg(unix)]
#[test]
fn only_their_owner_can_read_the_archive_and_what_is_unpacked() {
    use std::os::unix::fs::PermissionsExt as _;
    let site = Site::new();
    let target = site.target();
    extract(&site.archive, &target).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let paths = [site.archive.clone(), target.join(DATA), target.join(SECRET), target.join("files/a.png")];
    assert_eq!(paths.map(mode), [0o600; 4]);
    assert_eq!(mode(target.join(FILES)), 0o700);
}

#[test]
fn an_archive_that_was_cut_off_anywhere_is_refused() {
    let site = Site::new();
    // What follows the manifest is padding.
    let last = fs::read(&site.archive).unwrap().iter().rposition(|byte| *byte == b'}').unwrap();
    for end in (0..last).step_by(4096 - 7).chain([last]) {
        let error = site.broken(|bytes| bytes.truncate(end));
        let expected = if end <= 512 { "this is not a backup" } else { "the backup is incomplete" };
        assert!(error.starts_with(expected) || error.starts_with("the backup is damaged: manifest"), "{end}: {error}");
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    let site = Site::new();
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what).unwrap();
    for (what, member) in [("s3cret", "secret"), ("picture", "files/a.png"), ("data\0", DATA)] {
        let error = site.broken(|bytes| {
            let at = find(bytes, what.as_bytes());
            bytes[at] ^= 1;
        });
        assert_eq!(error, format!("the backup is damaged: {member} differs from what was written"));
    }
}

#[test]
fn other_files_and_members_that_leave_the_folder_are_refused() {
    let site = Site::new();
    assert_eq!(
        site.broken(|bytes| *bytes = b"hello".to_vec()),
        "this is not a backup that `deskline backup` has written"
    );
    assert_eq!(site.broken(Vec::clear), "this is not a backup that `deskline backup` has written");
    for name in ["files/../../outside", "files/a/b", "/etc/passwd", "other", "files/"] {
        let strange = site.folder.path().join("strange.tar");
        let mut archive = tar::Builder::new(File::create(&strange).unwrap());
        let mut add = |name: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            // Written by hand: the library refuses some of these names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, &b"x"[..]).unwrap();
        };
        add(DATA);
        add(name);
        archive.finish().unwrap();
        let target = site.target();
        let error = extract(&strange, &target).unwrap_err().to_string();
        assert_eq!(error, "this is not a backup that `deskline backup` has written", "{name}");
        assert!(!site.folder.path().join("outside").exists());
    }
}

#[test]
fn a_later_format_is_refused_with_the_version_that_wrote_it() {
    let site = Site::new();
    let error = site.broken(|bytes| {
        let format = br#""format": 1"#;
        let at = bytes.windows(format.len()).position(|window| window == format).unwrap();
        bytes[at + format.len() - 1] = b'2';
    });
    assert!(error.starts_with(concat!("the backup was written by version ", env!("CARGO_PKG_VERSION"))), "{error}");
}
