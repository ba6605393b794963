use super::*;
use crate::anon;
use vfs::OpenFile;

fn open(name: &str) -> SysResult<Arc<OpenFile>> {
    let (_, major, minor, _) = DEVICES.iter().find(|device| device.0 == name).unwrap();
    let flags = OpenFlags::RDWR;
    let ops = open_device(makedev(*major, *minor), FileType::CharDevice, flags)?;
    Ok(anon::open_file(name, ops, flags))
}

#[test]
fn null_zero_full() {
    let mut buf = [1; 4];
    let null = open("null").unwrap();
    assert_eq!(null.read(&mut buf), Ok(0));
    assert_eq!(null.write(&buf), Ok(4));
    assert_eq!(null.seek(0, 2), Ok(0));
    let zero = open("zero").unwrap();
    assert_eq!(zero.read(&mut buf), Ok(4));
    assert_eq!(buf, [0; 4]);
    assert!(is_dev_zero(&zero) && !is_dev_zero(&null));
    assert!(zero.ops().wait_queue().is_none());
    let full = open("full").unwrap();
    assert_eq!(full.read(&mut buf), Ok(4));
    assert_eq!(full.write(&buf), Err(Errno::ENOSPC));
}

#[test]
fn random_fills_all_of_it() {
    for name in ["random", "urandom"] {
        let file = open(name).unwrap();
        let mut buf = vec![0; 100_000];
        assert_eq!(file.read(&mut buf), Ok(100_000));
        // 64 zero bytes in a row are not random.
        assert!(buf.chunks(64).all(|chunk| chunk.iter().any(|byte| *byte != 0)));
        assert_eq!(file.write(b"stir"), Ok(4));
        assert!(file.ops().wait_queue().is_some());
    }
}

#[test]
fn what_is_not_there_is_enxio() {
    let open =
        |major, minor, kind| open_device(makedev(major, minor), kind, OpenFlags::empty()).err();
    assert_eq!(open(1, 1, FileType::CharDevice), Some(Errno::ENXIO));
    assert_eq!(open(8, 0, FileType::BlockDevice), Some(Errno::ENXIO));
    assert_eq!(open(5, 0, FileType::CharDevice), Some(Errno::ENXIO));
}
