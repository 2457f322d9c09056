//! One user.

use super::catalog::Catalog;
use super::password::Digest;
use super::selector::Selector;

/// Who may log in how, and what is allowed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// May log in.
    pub enabled: bool,
    /// Any password is right.
    pub needs_no_password: bool,
    /// Payloads of RESTORE are looked at before they are used.
    pub sanitizes: bool,
    /// The passwords.
    pub(super) passwords: Vec<Digest>,
    /// The root and those in parentheses.
    pub(super) selectors: Vec<Selector>,
}

impl User {
    /// May not log in, and nothing is allowed.
    pub fn new(catalog: &dyn Catalog, all_channels: bool) -> User {
        User {
            enabled: false,
            needs_no_password: false,
            sanitizes: true,
            passwords: Vec::new(),
            selectors: vec![Selector::new(catalog, all_channels)],
        }
    }

    /// The user that everybody is at first: may do everything.
    pub fn everything(catalog: &dyn Catalog) -> User {
        User {
            enabled: true,
            needs_no_password: true,
            selectors: vec![Selector::everything(catalog)],
            ..User::new(catalog, true)
        }
    }

    /// Whether everything is allowed, so that no call has to be looked at.
    pub fn may_do_all(&self) -> bool {
        self.selectors.iter().any(Selector::is_everything)
    }

    /// Whether who says this password may log in.
    pub fn accepts(&self, password: &[u8]) -> bool {
        // All are compared, so that the time taken tells nothing of which one fits.
        let given = Digest::of(password);
        let fitting = self.passwords.iter().filter(|known| known.fits(&given));
        let fits = fitting.count() > 0;
        self.enabled && (self.needs_no_password || fits)
    }

    /// The root and those in parentheses.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// Takes these passwords for all others; none: any is right.
    pub fn set_password(&mut self, password: Option<&[u8]>) {
        self.needs_no_password = password.is_none();
        self.passwords = password.map(Digest::of).into_iter().collect();
    }
}
