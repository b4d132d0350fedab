//! A server as a child process, which can be stopped, killed and restarted.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::{Scratch, ServerOptions};

/// Timeout for the server to listen, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a stopping server is polled.
const GLANCE: Duration = Duration::from_millis(5);

/// The secret that it signs tokens with.
pub(crate) const SECRET: &str = "a-secret-for-scratch-servers-and-nothing-else";

/// A server, running or not. Killed on drop.
pub(crate) struct ChildServer {
    /// `http://127.0.0.1:PORT`, the same after each restart.
    pub(crate) url: String,
    command: Command,
    child: Option<Child>,
}

impl ChildServer {
    /// Starts a server on a store with these additional flags, pinned to a CPU if one is given.
    pub(crate) async fn start(
        options: &ServerOptions,
        scratch: &Scratch,
        flags: &[&str],
        cpu: Option<usize>,
    ) -> anyhow::Result<Self> {
        let program = match &options.server {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("finding this program")?,
        };
        let mut command = match cpu {
            None => Command::new(&program),
            Some(cpu) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", &cpu.to_string()]).arg(&program);
                pinned
            }
        };
        let port = free_port()?;
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--jwt-secret", SECRET]);
        command.args(scratch.arguments()).args(flags).args(&options.server_arg);
        // Its warnings about killed connections would be noise.
        command.env("DESKLINE_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = Self { url: format!("http://127.0.0.1:{port}"), command, child: None };
        server.start_again().await.with_context(|| format!("starting {}", program.display()))?;
        Ok(server)
    }

    /// Starts it again after it was killed or stopped. Returns once it listens.
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut child = self.command.spawn()?;
        let listens = listening(&mut child)?;
        self.child = Some(child);
        let heard = timeout(PATIENCE, listens).await.context("the server has not printed that it listens")?;
        heard.context("the server ended before it listened")
    }

    /// Its process id, if it is running.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have exited already.
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }

    /// Stops it with SIGTERM and waits for it.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let child = self.child.as_mut().context("the server does not run")?;
        let pid = child.id().to_string();
        let asked =
            Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().context("asking the server to stop")?;
        ensure!(asked.success(), "the server had ended before it was asked to stop");
        let gave_up = Instant::now() + PATIENCE;
        while Instant::now() < gave_up {
            if let Some(status) = child.try_wait().context("waiting for the server")? {
                self.child = None;
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            sleep(GLANCE).await;
        }
        bail!("the server did not stop within {PATIENCE:?}")
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that is free at the moment.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// Resolves once the child has printed where it listens. Later output is read and dropped.
fn listening(child: &mut Child) -> anyhow::Result<oneshot::Receiver<()>> {
    let output = child.stdout.take().context("the server has no output")?;
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let mut sender = Some(sender);
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("listens on")
                && let Some(sender) = sender.take()
            {
                let _gone = sender.send(());
            }
        }
    });
    Ok(receiver)
}
