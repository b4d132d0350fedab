//! Lists the customers (admins).

use super::Accounts;
use crate::domain::{Role, User};
use crate::store::StoreError;

/// How many customers are on a page.
pub const PAGE: usize = 10;

/// One page of customers, oldest account first.
#[derive(Debug, Clone)]
pub struct CustomerPage {
    /// The customers.
    pub users: Vec<User>,
    /// How many there are on all pages.
    pub total: u64,
    /// How many pages there are.
    pub pages: u64,
}

impl Accounts {
    /// The page with this number, from 1. Zero counts as 1; pages after the last are empty.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_customers(&self, page: u64) -> Result<CustomerPage, StoreError> {
        let skip = page.saturating_sub(1).saturating_mul(PAGE as u64);
        let found = self.parts.users.users_of_role(Role::Customer, skip, PAGE).await?;
        Ok(CustomerPage { users: found.users, total: found.total, pages: found.total.div_ceil(PAGE as u64) })
    }
}
