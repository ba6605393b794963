//! seccomp(2) allow-lists, written as tables with a reason beside each row.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::io;

/// One row of a list. Rows with the same number are alternatives.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The system call.
    pub nr: i64,
    /// What must hold for its arguments; all of them.
    pub when: &'static [Condition],
    /// Why the process needs it.
    pub reason: &'static str,
}

impl Rule {
    /// A call allowed with any arguments.
    pub const fn any(nr: i64, reason: &'static str) -> Rule {
        Rule { nr, when: &[], reason }
    }

    /// A call allowed under conditions.
    pub const fn when(nr: i64, when: &'static [Condition], reason: &'static str) -> Rule {
        Rule { nr, when, reason }
    }
}

/// A condition on one argument (0 to 5).
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    arg: u8,
    wide: bool,
    test: Test,
    value: u64,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Equal,
    Less,
    Masked(u64),
}

impl Condition {
    /// All 64 bits of the argument equal `value`.
    pub const fn equal(arg: u8, value: u64) -> Condition {
        Condition { arg, wide: true, test: Test::Equal, value }
    }

    /// The low 32 bits equal `value`: for arguments that the kernel takes as an int.
    pub const fn equal32(arg: u8, value: u32) -> Condition {
        Condition { arg, wide: false, test: Test::Equal, value: value as u64 }
    }

    /// The argument, unsigned, is less than `value`.
    pub const fn less(arg: u8, value: u64) -> Condition {
        Condition { arg, wide: true, test: Test::Less, value }
    }

    /// The low 32 bits, masked, equal `value`: for flags.
    pub const fn masked32(arg: u8, mask: u32, value: u32) -> Condition {
        Condition { arg, wide: false, test: Test::Masked(mask as u64), value: value as u64 }
    }
}

/// What happens to a call that no row allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process dies with SIGSYS.
    KillProcess,
    /// The call fails with this error number.
    Errno(u16),
    /// The thread gets SIGSYS.
    Trap,
}

/// A compiled list.
#[derive(Clone, Debug)]
pub struct Program(BpfProgram);

impl Program {
    /// Its length in statements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true of a compiled list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The statements, for a process that is not the calling one.
    pub(crate) fn into_statements(self) -> impl Iterator<Item = libc::sock_filter> {
        self.0.into_iter().map(|seccompiler::sock_filter { code, jt, jf, k }| libc::sock_filter {
            code,
            jt,
            jf,
            k,
        })
    }
}

/// How many different calls a list allows.
pub fn count(rules: &[Rule]) -> usize {
    rules.iter().map(|rule| rule.nr).collect::<std::collections::BTreeSet<_>>().len()
}

/// Compiles a list.
pub fn compile(rules: &[Rule], otherwise: Action) -> io::Result<Program> {
    let mut table: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    // A row without conditions makes the other rows of its call pointless, and the library takes
    // an empty list of alternatives for "always".
    let unconditional = |nr| rules.iter().any(|rule| rule.nr == nr && rule.when.is_empty());
    for rule in rules {
        let alternatives = table.entry(rule.nr).or_default();
        if !unconditional(rule.nr) {
            let conditions = rule.when.iter().map(condition).collect::<Result<_, _>>();
            alternatives.push(conditions.and_then(SeccompRule::new).map_err(invalid)?);
        }
    }
    let otherwise = match otherwise {
        Action::KillProcess => SeccompAction::KillProcess,
        Action::Errno(errno) => SeccompAction::Errno(u32::from(errno)),
        Action::Trap => SeccompAction::Trap,
    };
    SeccompFilter::new(table, otherwise, SeccompAction::Allow, TargetArch::x86_64)
        .and_then(BpfProgram::try_from)
        .map(Program)
        .map_err(invalid)
}

fn condition(condition: &Condition) -> Result<SeccompCondition, seccompiler::BackendError> {
    let width = if condition.wide { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
    let test = match condition.test {
        Test::Equal => SeccompCmpOp::Eq,
        Test::Less => SeccompCmpOp::Lt,
        Test::Masked(mask) => SeccompCmpOp::MaskedEq(mask),
    };
    SeccompCondition::new(condition.arg, width, test, condition.value)
}

fn invalid(error: seccompiler::BackendError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Installs a list for all threads of the process, for ever. Sets no_new_privs.
pub fn install(program: &Program) -> io::Result<()> {
    seccompiler::apply_filter_all_threads(&program.0).map_err(io::Error::other)
}

/// Installs a list for the calling thread and those it makes later. Sets no_new_privs.
pub fn install_on_this_thread(program: &Program) -> io::Result<()> {
    seccompiler::apply_filter(&program.0).map_err(io::Error::other)
}
