#![doc = include_str!("../README.md")]

pub mod auth;
pub mod domain;
pub mod mail;
pub mod store;
