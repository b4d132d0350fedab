//! Who is there: tokens and passwords.
//!
//! A [`Tokens`] turns a bearer token into an [`Identity`], a [`Passwords`] tells whether a password is the right one. Neither
//! knows what anybody may do: rights come from the account in the store, which the identity names.
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
