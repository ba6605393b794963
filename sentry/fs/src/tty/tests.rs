use super::termios::{Char, Input, Local, Output, Termios2};
use super::*;
use abi::signal::Signal;
use std::time::{Duration, Instant};

/// A change of the settings.
type Change = fn(&mut Termios2);

/// What it is about, the settings, what is typed, what is shown, what is read.
type Row = (&'static str, Change, &'static [u8], &'static str, &'static [&'static str]);

fn line_with(change: Change) -> LineDiscipline {
    let mut line = LineDiscipline::new();
    let mut termios = *line.termios();
    change(&mut termios);
    line.set_termios(termios);
    line
}

fn type_in(line: &mut LineDiscipline, bytes: &[u8]) -> Events {
    let mut events = Events::default();
    assert_eq!(line.receive(bytes, Instant::now(), &mut events), bytes.len());
    events
}

fn shown(line: &mut LineDiscipline) -> String {
    let mut buf = vec![0; 1 << 17];
    let count = line.take_output(&mut buf);
    String::from_utf8(buf[..count].to_vec()).unwrap()
}

/// All reads that do not wait, each of at most `size` bytes.
fn reads(line: &mut LineDiscipline, size: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut buf = vec![0; size];
    while line.is_readable() {
        match line.read(&mut buf, true, Instant::now()) {
            Read::Done(count) => all.push(String::from_utf8_lossy(&buf[..count]).into_owned()),
            Read::Wait(_) => break,
        }
    }
    all
}

fn same(_: &mut Termios2) {}

fn on(flags: &mut u32, bits: u32) {
    *flags |= bits;
}

fn off(flags: &mut u32, bits: u32) {
    *flags &= !bits;
}

#[test]
fn lines_are_edited_echoed_and_read() {
    // The settings are the standard ones, changed.
    let table: &[Row] = &[
        ("a line", same, b"ab\n", "ab\r\n", &["ab\n"]),
        ("two lines", same, b"a\nb\n", "a\r\nb\r\n", &["a\n", "b\n"]),
        ("no line yet", same, b"ab", "ab", &[]),
        ("return ends a line", same, b"ab\r", "ab\r\n", &["ab\n"]),
        ("erase", same, b"abx\x7f\n", "abx\x08 \x08\r\n", &["ab\n"]),
        ("erase what is not there", same, b"\x7fa\n", "a\r\n", &["a\n"]),
        ("erase stops at the line", same, b"a\n\x7f\x7fb\n", "a\r\nb\r\n", &["a\n", "b\n"]),
        ("erase a control", same, b"\x01\x7f\n", "^A\x08 \x08\x08 \x08\r\n", &["\n"]),
        ("erase a tab", same, b"ab\t\x7f\n", "ab\t\x08\x08\x08\x08\x08\x08\r\n", &["ab\n"]),
        ("word erase", same, b"ab cd \x17\n", "ab cd \x08 \x08\x08 \x08\x08 \x08\r\n", &["ab \n"]),
        ("kill", same, b"ab\x15c\n", "ab\x08 \x08\x08 \x08c\r\n", &["c\n"]),
        (
            "kill without ECHOKE",
            |t| off(&mut t.base.lflag, Local::ECHOKE.bits()),
            b"ab\x15c\n",
            "ab^U\r\nc\r\n",
            &["c\n"],
        ),
        (
            "erase without ECHOE",
            |t| off(&mut t.base.lflag, Local::ECHOE.bits()),
            b"ab\x7f\n",
            "ab^?\r\n",
            &["a\n"],
        ),
        ("literal next", same, b"\x16\x03\n", "^\x08^C\r\n", &["\x03\n"]),
        ("reprint", same, b"ab\x12c\n", "ab^R\r\nabc\r\n", &["abc\n"]),
        ("end of file", same, b"\x04", "", &[""]),
        ("end of file after data", same, b"ab\x04", "ab", &["ab"]),
        ("EOL", |t| t.base.cc[Char::Eol as usize] = b'.', b"a.b\n", "a.b\r\n", &["a.", "b\n"]),
        ("no echo", |t| off(&mut t.base.lflag, Local::ECHO.bits()), b"ab\x7f\n", "", &["a\n"]),
        (
            "ECHONL",
            |t| {
                off(&mut t.base.lflag, Local::ECHO.bits());
                on(&mut t.base.lflag, Local::ECHONL.bits());
            },
            b"ab\n",
            "\r\n",
            &["ab\n"],
        ),
        (
            "controls as they are without ECHOCTL",
            |t| off(&mut t.base.lflag, Local::ECHOCTL.bits()),
            b"\x01\n",
            "\x01\r\n",
            &["\x01\n"],
        ),
        ("IGNCR", |t| on(&mut t.base.iflag, Input::IGNCR.bits()), b"a\rb\n", "ab\r\n", &["ab\n"]),
        (
            "INLCR",
            |t| {
                off(&mut t.base.iflag, Input::ICRNL.bits());
                on(&mut t.base.iflag, Input::INLCR.bits());
            },
            b"a\n\x04",
            "a^M",
            &["a\r"],
        ),
        ("ISTRIP", |t| on(&mut t.base.iflag, Input::ISTRIP.bits()), b"\xe1\n", "a\r\n", &["a\n"]),
        (
            "erase a character of UTF-8",
            |t| on(&mut t.base.iflag, Input::IUTF8.bits()),
            "aä\x7f\n".as_bytes(),
            "aä\x08 \x08\r\n",
            &["a\n"],
        ),
        (
            "raw with echo",
            |t| off(&mut t.base.lflag, Local::ICANON.bits()),
            b"a\n\x7f\r",
            "a^J^?\r\n",
            &["a\n\x7f\n"],
        ),
        (
            "no output processing",
            |t| off(&mut t.base.oflag, Output::OPOST.bits()),
            b"a\n",
            "a\n",
            &["a\n"],
        ),
        (
            "a switched-off character is data",
            |t| t.base.cc[Char::Intr as usize] = 0,
            b"a\x03\0\n",
            "a^C^@\r\n",
            &["a\x03\0\n"],
        ),
    ];
    for (what, change, typed, echoed, lines) in table {
        let mut line = line_with(*change);
        type_in(&mut line, typed);
        assert_eq!(shown(&mut line), *echoed, "shown: {what}");
        assert_eq!(reads(&mut line, 100), *lines, "read: {what}");
        assert_eq!(line.readable_len(), 0, "left: {what}");
    }
}

#[test]
fn output_is_processed() {
    let table: &[(&str, Change, &[u8], &str)] = &[
        ("ONLCR", same, b"a\nb", "a\r\nb"),
        ("OCRNL", |t| on(&mut t.base.oflag, Output::OCRNL.bits()), b"a\rb", "a\nb"),
        ("ONOCR", |t| on(&mut t.base.oflag, Output::ONOCR.bits()), b"\ra\r", "a\r"),
        ("tabs", same, b"a\tb", "a\tb"),
        (
            "XTABS",
            |t| on(&mut t.base.oflag, Output::XTABS.bits()),
            b"a\tb\n\tc",
            "a       b\r\n        c",
        ),
        ("OLCUC", |t| on(&mut t.base.oflag, Output::OLCUC.bits()), b"aB\n", "AB\r\n"),
        ("raw", |t| t.base.oflag = 0, b"a\n\tb\r", "a\n\tb\r"),
    ];
    for (what, change, written, expected) in table {
        let mut line = line_with(*change);
        assert_eq!(line.write(written), written.len(), "{what}");
        assert_eq!(shown(&mut line), *expected, "{what}");
    }
}

#[test]
fn the_keyboard_sends_signals_and_flushes() {
    let mut line = LineDiscipline::new();
    line.write(b"old");
    let events = type_in(&mut line, b"ab\x03");
    assert_eq!(events.signals, [Signal::SIGINT]);
    assert!(events.flushed_input && events.flushed_output);
    assert_eq!(shown(&mut line), "^C");
    let events = type_in(&mut line, b"\x1c\x1ac\n");
    assert_eq!(events.signals, [Signal::SIGQUIT, Signal::SIGTSTP]);
    assert_eq!(reads(&mut line, 10), ["c\n"]);

    let mut line = line_with(|t| on(&mut t.base.lflag, Local::NOFLSH.bits()));
    assert!(!type_in(&mut line, b"ab\x03c\n").flushed_input);
    assert_eq!(shown(&mut line), "ab^Cc\r\n");
    assert_eq!(reads(&mut line, 10), ["abc\n"]);

    let mut line = line_with(|t| off(&mut t.base.lflag, Local::ISIG.bits()));
    assert_eq!(type_in(&mut line, b"\x03\n"), Events::default());
    assert_eq!(reads(&mut line, 10), ["\x03\n"]);
}

#[test]
fn output_is_stopped_and_started() {
    let mut line = LineDiscipline::new();
    type_in(&mut line, b"\x13");
    assert!(line.is_stopped() && !line.has_room());
    assert_eq!(line.write(b"x"), 0);
    type_in(&mut line, b"a");
    assert_eq!(shown(&mut line), "", "echo waits too");
    type_in(&mut line, b"\x11");
    assert_eq!(shown(&mut line), "a");
    assert_eq!(line.write(b"x"), 1);
    // What a program has stopped, the keyboard cannot start.
    line.stop_by_call();
    type_in(&mut line, b"\x11");
    assert!(line.is_stopped());
    line.start_by_call();
    assert!(!line.is_stopped());
}

#[test]
fn a_line_is_read_in_parts() {
    let mut line = LineDiscipline::new();
    type_in(&mut line, b"abcde\nf\n");
    assert_eq!(line.readable_len(), 8);
    assert_eq!(reads(&mut line, 2), ["ab", "cd", "e\n", "f\n"]);
    // An end-of-file that follows what just fitted does not end the next read.
    type_in(&mut line, b"ab\x04");
    assert_eq!(reads(&mut line, 2), ["ab"]);
}

#[test]
fn too_long_a_line_loses_its_end() {
    let mut line = line_with(|t| off(&mut t.base.lflag, Local::ECHO.bits()));
    type_in(&mut line, &[b'x'; 5000]);
    assert!(!line.is_readable());
    type_in(&mut line, b"\n");
    let all = reads(&mut line, 8000);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].len(), 4096);
    assert!(all[0].ends_with("x\n"));
    // Without line editing, what does not fit is not taken.
    let mut line = line_with(|t| t.base.lflag = 0);
    let taken = line.receive(&[b'x'; 5000], Instant::now(), &mut Events::default());
    assert_eq!(taken, 4095);
}

#[test]
fn output_is_bounded() {
    let mut line = line_with(|t| t.base.oflag = 0);
    assert_eq!(line.write(&[b'x'; 100_000]), 64 << 10);
    assert_eq!(line.write(b"x"), 0);
    assert!(!line.has_room());
    let mut line = LineDiscipline::new();
    let taken = line.write(&[b'\n'; 100_000]);
    assert!((32 << 10..34 << 10).contains(&taken), "{taken}");
    // Echo of somebody who types without end, and nobody looks.
    for _ in 0..100 {
        type_in(&mut line, &[1; 1000]);
        type_in(&mut line, b"\x15");
    }
    assert!(line.output_len() <= (64 << 10) + 4096);
}

#[test]
fn vmin_and_vtime() {
    fn raw(min: u8, time: u8) -> LineDiscipline {
        let mut line = line_with(|t| t.base.lflag = 0);
        let mut termios = *line.termios();
        termios.base.cc[Char::Min as usize] = min;
        termios.base.cc[Char::Time as usize] = time;
        line.set_termios(termios);
        line
    }
    let (mut buf, start) = ([0; 8], Instant::now());
    let later = |millis| start + Duration::from_millis(millis);
    let feed = |line: &mut LineDiscipline, bytes: &[u8], at| {
        line.receive(bytes, at, &mut Events::default());
    };

    let mut line = raw(0, 0);
    assert_eq!(line.read(&mut buf, false, start), Read::Done(0));

    let mut line = raw(3, 0);
    feed(&mut line, b"ab", start);
    assert!(!line.is_readable());
    assert_eq!(line.read(&mut buf, false, start), Read::Wait(None));
    assert_eq!(line.read(&mut buf[..2], false, start), Read::Done(2), "more cannot come");
    feed(&mut line, b"cde", start);
    assert_eq!(line.read(&mut buf, false, start), Read::Done(3));
    feed(&mut line, b"f", start);
    assert_eq!(line.read(&mut buf, true, start), Read::Done(1));
    assert_eq!(line.read(&mut buf, true, start), Read::Wait(None));

    let mut line = raw(0, 2);
    assert_eq!(line.read(&mut buf, false, start), Read::Wait(Some(later(200))));
    assert_eq!(line.read(&mut buf, false, later(100)), Read::Wait(Some(later(200))));
    assert_eq!(line.read(&mut buf, false, later(200)), Read::Done(0));
    assert_eq!(line.read(&mut buf, false, later(300)), Read::Wait(Some(later(500))));
    feed(&mut line, b"a", later(310));
    assert_eq!(line.read(&mut buf, false, later(310)), Read::Done(1));

    let mut line = raw(3, 2);
    assert_eq!(line.read(&mut buf, false, start), Read::Wait(None));
    feed(&mut line, b"a", later(100));
    assert_eq!(line.read(&mut buf, false, later(100)), Read::Wait(Some(later(300))));
    assert_eq!(line.read(&mut buf, false, later(300)), Read::Done(1));
}

#[test]
fn what_is_typed_survives_a_change_of_mode() {
    let mut line = LineDiscipline::new();
    type_in(&mut line, b"ab");
    let canonical = *line.termios();
    let mut raw = canonical;
    off(&mut raw.base.lflag, Local::ICANON.bits());
    line.set_termios(raw);
    assert_eq!(reads(&mut line, 10), ["ab"]);
    type_in(&mut line, b"cd");
    line.set_termios(canonical);
    assert_eq!(reads(&mut line, 10), ["cd"]);
}

#[test]
fn settings_are_taken_as_a_pseudo_terminal_takes_them() {
    let standard = Termios2::standard();
    let mut new = standard.base;
    new.line = 7;
    // 7 bits, parity, 9600.
    new.cflag = 0o40 | 0o400 | 0o15;
    let taken = standard.with(new, None);
    assert_eq!((taken.base.line, taken.base.cflag), (0, 0o60 | 0o200 | 0o15));
    assert_eq!(taken.ospeed, 9600);
    new.cflag = 0o10000;
    assert_eq!(standard.with(new, Some((300, 12345))).ospeed, 12345);
    new.cflag = 0o10017;
    assert_eq!(standard.with(new, None).ospeed, 4_000_000);
    let old = standard.to_termio();
    assert_eq!(standard.with_termio(&old), standard);
    assert_eq!(size_of::<termios::Termios>(), 36);
    assert_eq!(size_of::<Termios2>(), 44);
    assert_eq!(size_of::<termios::Termio>(), 18);
}
