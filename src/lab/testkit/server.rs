//! A server of one's own: a child process on a scratch store, which can be asked to stop, killed, and started again.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::{Scratch, ServerOptions};

/// How long the server may take to listen, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it has stopped.
const GLANCE: Duration = Duration::from_millis(5);

/// The secret that it signs tokens with.
pub(crate) const SECRET: &str = "a-secret-for-scratch-servers-and-nothing-else";

/// How a server is started.
pub(crate) struct ChildServer {
    /// Where it listens whenever it runs: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    command: Command,
    child: Option<Child>,
}

impl ChildServer {
    /// Starts a server on a store, with these flags besides the usual ones, on one CPU if so wished and possible.
    ///
    /// It keeps its port when it is started again, as a real one does.
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
        // What is said about a server that is treated like this would be of no use.
        command.env("DESKLINE_LOG", "error").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = Self { url: format!("http://127.0.0.1:{port}"), command, child: None };
        server.start_again().await.with_context(|| format!("starting {}", program.display()))?;
        Ok(server)
    }

    /// Starts it after it was killed or stopped; returns once it listens.
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut child = self.command.spawn()?;
        let listens = listening(&mut child)?;
        self.child = Some(child);
        let heard = timeout(PATIENCE, listens).await.context("the server does not say that it listens")?;
        heard.context("the server ended before it listened")
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already.
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let child = self.child.as_mut().context("the server does not run")?;
        let pid = child.id().to_string();
        let asked =
            Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().context("asking the server to stop")?;
        ensure!(asked.success(), "the server had gone before it was asked to stop");
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

/// A port that nobody listens on at this moment.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// Is told once the child has printed where it listens. What it prints afterwards is read and dropped.
fn listening(child: &mut Child) -> anyhow::Result<oneshot::Receiver<()>> {
    let output = child.stdout.take().context("the server has no output")?;
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        let mut tell = Some(tell);
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("listens on")
                && let Some(tell) = tell.take()
            {
                let _gone = tell.send(());
            }
        }
    });
    Ok(told)
}
