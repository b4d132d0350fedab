//! The name and contact details of a room's customer, which are not verified.

use super::requested_room::RequestedRoom;
use crate::accounts::visitors::{ANONYMOUS, VisitorDetails};
use crate::domain::Email;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller;
use crate::faces::channels::reply::Problem;

/// `{customer_name?, customer_email?, customer_phone?}`.
pub(super) fn details(fields: &Fields) -> Result<VisitorDetails, Problem> {
    let field = |name: &'static str, longest: usize| match fields.text(name) {
        Some(text) if text.chars().count() > longest || text.contains(char::is_control) => {
            Err(Problem::fields(&[(name, "Not a valid value.")]))
        }
        value => Ok(value.map(|text| text.trim().to_owned())),
    };
    let details = VisitorDetails {
        name: field("customer_name", 200)?,
        email: field("customer_email", 254)?,
        phone: field("customer_phone", 50)?,
    };
    if details.email.as_ref().is_some_and(|email| !email.is_empty() && email.parse::<Email>().is_err()) {
        return Err(Problem::fields(&[("customer_email", "Enter a valid email address.")]));
    }
    Ok(details)
}

impl RequestedRoom {
    /// Changes those of the customer's details that are present.
    pub(super) async fn change_customer(&self, details: VisitorDetails) -> Result<(), Problem> {
        let RequestedRoom { channels, access, .. } = self;
        if let Some(customer) = channels.accounts.user(access.customer.id).await? {
            channels.accounts.change_visitor(&customer, details).await?;
            channels.desk.attendance.account_changed(customer.id).await;
        }
        Ok(())
    }

    /// Sets the name of a visitor who has none yet, because the room was created by a page load. The newer frontend sends
    /// `customer_name` with each message.
    pub(super) async fn name_visitor(&mut self, fields: &Fields) -> Result<(), Problem> {
        let customer = &self.access.customer;
        let is_nameless = customer.email.is_empty() && customer.name == ANONYMOUS;
        let is_given = fields.text("customer_name").is_some_and(|name| !name.trim().is_empty());
        if self.access.is_identified && is_nameless && is_given {
            self.change_customer(details(fields)?).await?;
            if let Some(named) = self.channels.accounts.user(self.access.customer.id).await? {
                self.access.person = caller::person(&named);
                self.access.customer = self.access.person.clone();
            }
        }
        Ok(())
    }
}
