//! Authentication: tokens and passwords.
//!
//! [`Tokens`] turns a bearer token into an [`Identity`]; [`Passwords`] verifies passwords. Neither decides what somebody may do:
//! that is read from the account that the identity names.
//!
//! Reading order: [`secret`], [`token`], [`binding`], [`password`].

pub mod binding;
mod email_change;
mod file_link;
pub mod password;
mod pbkdf2_sha256;
pub mod secret;
pub mod token;

pub use binding::Binding;
pub use email_change::EmailChange;
pub use file_link::FILE_LINK_PART;
pub use password::{PasswordError, Passwords};
pub use secret::Secret;
pub use token::{Identity, RefreshIdentity, Subject, TokenError, TokenPair, Tokens, token_in_header, without_bearer};
