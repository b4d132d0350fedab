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
mod json;
pub mod limits;
pub mod mail;
pub mod net;
pub mod presence;
pub mod prove;
pub mod rig;
pub mod store;
pub mod supervise;
pub mod verify;
