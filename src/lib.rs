#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod app;
pub mod auth;
pub mod bench;
pub mod cli;
pub mod config;
pub mod desk;
pub mod domain;
pub mod faces;
pub mod import;
pub mod mail;
pub mod net;
pub mod presence;
pub mod store;
pub mod verify;
