//! Ctrl-C and SIGTERM: the first asks the work to stop at its next safe point, the second does not ask.

use autorag_indexer::Cancel;

use super::INTERRUPTED;

/// Resolves at the first signal.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler there is nothing to wait for; the signal then ends the process as it would by default.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Watches for signals on a thread of its own, for commands that are otherwise synchronous.
///
/// # Errors
/// When the thread's runtime cannot be made.
pub fn cancel_on_signal(cancel: &Cancel) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        // Tokio panics where it gets no sockets for its signals, so it is tried whether there are as many as its runtime opens.
        let sockets = || std::os::unix::net::UnixStream::pair();
        drop([sockets()?, sockets()?, sockets()?]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        runtime.block_on(stop_signal());
        cancel.cancel();
        runtime.block_on(stop_signal());
        // Every step is durable, so nothing is lost by leaving at once.
        std::process::exit(i32::from(INTERRUPTED));
    });
    Ok(())
}
