//! Guest addresses.

/// An address in a guest's memory. Not a pointer: the only way to what is behind it is the memory
/// manager.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UserAddr(pub u64);

impl UserAddr {
    /// The null pointer.
    pub const NULL: UserAddr = UserAddr(0);

    /// True for the null pointer.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }

    /// `self + bytes`; None on overflow.
    pub fn checked_add(self, bytes: u64) -> Option<UserAddr> {
        self.0.checked_add(bytes).map(UserAddr)
    }

    /// `self + bytes`, wrapping as the machine does; for addresses that are checked at access.
    pub fn offset(self, bytes: u64) -> UserAddr {
        UserAddr(self.0.wrapping_add(bytes))
    }

    /// None for the null pointer.
    pub fn non_null(self) -> Option<UserAddr> {
        (!self.is_null()).then_some(self)
    }
}

impl std::fmt::Debug for UserAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
