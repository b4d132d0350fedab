//! An echo server for both protocols, with the same settings and layers as Deskline.
//!
//! Engine.IO at `/engine.io/` echoes every packet. Socket.IO at `/socket.io/` returns the payload of the CONNECT to `/`
//! or `/custom`, and echoes every event. Packets can have up to 1,000,000 bytes.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use deskline::faces::socketio::{self, Polls, carry};
use deskline::net::{self, Heartbeat, Origins, TrustedProxies};
use engineioxide::handler::EngineIoHandler;
use engineioxide::layer::EngineIoLayer;
use engineioxide::{DisconnectReason, Socket, Str};
use rmpv::Value;
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use socketioxide::extract::{AckSender, Data, SocketRef, TryData};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const MAX_MESSAGE: u32 = 1_000_000;

/// Echoes every packet.
#[derive(Debug, Clone)]
struct Echo;

impl EngineIoHandler for Echo {
    type Data = ();

    fn on_connect(self: Arc<Self>, _: Arc<Socket<()>>) {}

    fn on_disconnect(&self, _: Arc<Socket<()>>, _: DisconnectReason) {}

    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<Socket<()>>) {
        socket.emit(message).ok();
    }

    fn on_binary(self: &Arc<Self>, bytes: Bytes, socket: Arc<Socket<()>>) {
        socket.emit_binary(bytes).ok();
    }
}

/// All arguments of an event, including binary ones: for a type that is not a tuple, socketioxide extracts only the
/// first one.
struct Arguments(Vec<Value>);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Arguments;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the arguments of an event")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut arguments: A) -> Result<Arguments, A::Error> {
                let mut all = Vec::new();
                while let Some(argument) = arguments.next_element()? {
                    all.push(argument);
                }
                Ok(Arguments(all))
            }
        }

        deserializer.deserialize_tuple(0, All)
    }
}

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut arguments = serializer.serialize_tuple(self.0.len())?;
        for argument in &self.0 {
            arguments.serialize_element(argument)?;
        }
        arguments.end()
    }
}

async fn connected(socket: SocketRef, TryData(auth): TryData<Value>) {
    socket.on("message", |socket: SocketRef, Data(said): Data<Arguments>| async move {
        socket.emit("message-back", &said).ok();
    });
    socket.on("message-with-ack", |Data(said): Data<Arguments>, ack: AckSender| async move {
        ack.send(&said).ok();
    });
    socket.emit("auth", &auth.unwrap_or(Value::Map(Vec::new()))).ok();
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, heartbeat: Heartbeat, stop: CancellationToken) -> anyhow::Result<()> {
    let (layer, io) = socketio::transport(heartbeat, MAX_MESSAGE).build_layer();
    io.ns("/", connected);
    io.ns("/custom", connected);
    let mut config = io.config().engine_config.clone();
    config.req_path = "/engine.io".into();
    let router = Router::new()
        .layer(layer.clone())
        .layer(EngineIoLayer::from_config(Arc::new(Echo), config))
        .layer(from_fn_with_state(Polls::without_desk("/socket.io/", Some(&layer)), carry))
        .layer(from_fn_with_state(Polls::without_desk("/engine.io/", None), carry));
    let router = net::add_layers(router, &Origins::new(&[], &[]), TrustedProxies::new(&[]), &[])?;
    net::serve(&listener, router, stop, TaskTracker::new()).await;
    Ok(())
}
