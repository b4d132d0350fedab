//! HTTP requests, one connection each.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::socketio::{ClientError, PATIENCE, host_of};

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body; `null` if it is not JSON.
    pub(crate) body: Value,
}

/// A keep-alive connection.
pub(crate) struct KeptAlive {
    sender: http1::SendRequest<Empty<Bytes>>,
    host: String,
}

impl KeptAlive {
    pub(crate) async fn open(url: &str) -> Result<Self, ClientError> {
        let host = host_of(url)?;
        let stream = TcpStream::connect(host).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // It ends with the sender, which reports errors.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, host: host.to_owned() })
    }

    /// GETs with this address in `X-Forwarded-For`. Returns the status.
    pub(crate) async fn get(&mut self, path: &str, from: &str) -> Result<u16, ClientError> {
        let request = Request::get(path).header("host", &self.host).header("x-forwarded-for", from);
        let request = request.body(Empty::new()).map_err(|error| ClientError::Http(error.to_string()))?;
        self.sender.ready().await.map_err(failed)?;
        let answer = self.sender.send_request(request).await.map_err(failed)?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.map_err(failed)?;
        Ok(status)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
fn failed(error: hyper::Error) -> ClientError {
    ClientError::Http(error.to_string())
}

/// GETs JSON.
pub(crate) async fn get(url: &str, path: &str, token: &str) -> Result<Answer, ClientError> {
    as_json(url, Method::GET, path, Some(token), None).await
}

/// POSTs JSON, with or without a token.
pub(crate) async fn post(url: &str, path: &str, token: Option<&str>, body: &Value) -> Result<Answer, ClientError> {
    as_json(url, Method::POST, path, token, Some(body)).await
}

async fn as_json(
    url: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<Answer, ClientError> {
    let body = body.map_or_else(String::new, Value::to_string);
    let (status, bytes) = request(url, method, path, token, body).await?;
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

/// Sends one request. Returns the status and the whole body.
pub(super) async fn request(
    url: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: String,
) -> Result<(u16, Bytes), ClientError> {
    let host = host_of(url)?;
    let exchange = async {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // It ends with the response; errors show there.
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() {
            let is_json = body.starts_with('{');
            request = request.header("content-type", if is_json { "application/json" } else { "text/plain" });
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| ClientError::Http(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(failed)?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await.map_err(failed)?.to_bytes()))
    };
    timeout(PATIENCE, exchange).await.unwrap_or(Err(ClientError::TimedOut(PATIENCE)))
}
