#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod auth;
pub mod bench;
pub mod domain;
pub mod faces;
pub mod mail;
pub mod store;
