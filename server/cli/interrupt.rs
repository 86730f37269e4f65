//! Ctrl-C and SIGTERM: the first stops the work at its next safe point, the second exits at once.

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
    // Without a handler, the signal ends the process by default, so there is nothing to wait for.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Cancels `cancel` on a signal. A thread waits for it, because the callers are synchronous.
///
/// # Errors
/// If the runtime of that thread cannot start.
pub fn cancel_on_signal(cancel: &Cancel) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        // Tokio panics if it cannot open its signal sockets. Opening the same number first returns an error instead.
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
        // Committed work is durable, so an immediate exit loses none of it.
        std::process::exit(i32::from(INTERRUPTED));
    });
    Ok(())
}
