//! A server in this process and its clients, to measure searches over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::timing::Percentiles;
use crate::config::ServerSettings;
use crate::http;
use crate::instance::Instance;
use crate::instance_handle::{InstanceHandle, InstanceState};

/// A server on a free port.
pub struct Server {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Serves `instance` until [`Server::stop`].
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(instance: Arc<Instance>) -> anyhow::Result<Server> {
        let settings = ServerSettings::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((settings.addr.ip(), 0)))?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let (_opened, opening) = watch::channel(InstanceState::Open(instance));
            let instance = InstanceHandle::new(opening, settings.max_concurrent, settings.timeout());
            // A dropped sender stops the server too.
            let stopped = async { drop(stopped.await) };
            runtime.block_on(http::serve(listener, instance, &settings, stopped))?;
            Ok(())
        });
        Ok(Server { addr, stop, thread })
    }

    /// Stops the server.
    ///
    /// # Errors
    /// When the server had failed.
    pub fn stop(self) -> anyhow::Result<()> {
        // If the server has ended already, `join` returns its error.
        let _ = self.stop.send(());
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the server panicked"))?
    }

    /// Sends `queries` from `clients` concurrent clients, each over one connection. Returns latencies and
    /// requests per second.
    ///
    /// # Errors
    /// When a request is refused or fails.
    pub fn measure(&self, queries: &[String], clients: usize) -> anyhow::Result<(Percentiles, f64)> {
        let started = Instant::now();
        let times = std::thread::scope(|scope| -> anyhow::Result<Vec<Duration>> {
            let clients: Vec<_> = queries
                .chunks(queries.len().div_ceil(clients.max(1)).max(1))
                .map(|part| scope.spawn(move || Client::connect(self.addr)?.measure(part)))
                .collect();
            let mut times = Vec::new();
            for client in clients {
                times.extend(
                    client
                        .join()
                        .map_err(|_| anyhow::anyhow!("a client panicked"))??,
                );
            }
            Ok(times)
        })?;
        let rate = queries.len() as f64 / started.elapsed().as_secs_f64().max(1e-9);
        Ok((Percentiles::new(times), rate))
    }
}

/// A keep-alive connection.
struct Client {
    addr: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(addr: SocketAddr) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        Ok(Client {
            addr,
            stream: BufReader::new(stream),
        })
    }

    fn measure(&mut self, queries: &[String]) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(queries.len());
        for query in queries {
            let started = Instant::now();
            self.search(query)?;
            times.push(started.elapsed());
        }
        Ok(times)
    }

    fn search(&mut self, query: &str) -> anyhow::Result<()> {
        let body = serde_json::json!({ "query": query }).to_string();
        let request = format!(
            "POST /v1/search HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.addr,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        ensure!(
            line.starts_with("HTTP/1.1 200 "),
            "the server answered {}",
            line.trim()
        );
        let mut length = None;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            match line.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.trim().parse()?);
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut answer = vec![0; length.context("the response has no Content-Length")?];
        self.stream.read_exact(&mut answer)?;
        Ok(())
    }
}
