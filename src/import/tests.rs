//! Copies between data files. Copies to and from MongoDB are among its tests.

use super::{End, Folders, Moved, import};
use crate::store::{OpenStore, StoreLocation, maintenance_contract};

async fn file(folder: &tempfile::TempDir, name: &str) -> OpenStore {
    StoreLocation::Sqlite(folder.path().join(name)).open().await.unwrap()
}

#[tokio::test]
async fn a_data_file_is_copied_into_another() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (file(&folder, "one.db").await, file(&folder, "other.db").await);
    maintenance_contract::a_store_is_copied_into_another_and_works_there(&one, &other).await;
}

#[tokio::test]
async fn the_files_of_attachments_are_copied_if_their_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (file(&folder, "one.db").await, file(&folder, "other.db").await);
    maintenance_contract::fill(&one).await;
    let folders = Folders { from: folder.path().join("one.files"), to: folder.path().join("other.files") };
    let (from, to) = (End::of(&one).unwrap(), End::of(&other).unwrap());
    let moved = import(&from, &to, Some(&folders), |_| ()).await.unwrap();
    assert_eq!((moved.attachments, moved.files, moved.files_missing), (1, 0, 1), "there is no such file");
    std::fs::create_dir(&folders.from).unwrap();
    std::fs::write(folders.from.join("kept"), "hi").unwrap();
    for copied in [1, 0] {
        let moved = import(&from, &to, Some(&folders), |_| ()).await.unwrap();
        assert_eq!((moved.attachments, moved.files, moved.files_missing), (1, copied, 0));
        assert_eq!(std::fs::read_to_string(folders.to.join("kept")).unwrap(), "hi");
    }
    assert_eq!(std::fs::read_dir(&folders.to).unwrap().count(), 1, "nothing else is left there");
}

#[tokio::test]
async fn a_file_outside_its_folder_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "hi").unwrap();
    let folders = Folders { from: folder.path().join("from"), to: folder.path().join("to") };
    std::fs::create_dir(&folders.from).unwrap();
    let mut moved = Moved::default();
    for file in ["../secret", "/etc/hostname", "..", ""] {
        folders.copy(file, &mut moved).await.unwrap();
    }
    assert_eq!((moved.files, moved.files_missing), (0, 4));
}
