//! HTTP/1.1 for operators: `/metrics`, `/healthz`, `/status`.
//!
//! Reads nothing but the request line and headers, bounded in size, time and number of connections. It belongs on a
//! private address: there is no authentication, and nothing on it needs one (no payloads, no names of people).

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 64;
/// Largest request head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// From the connection, or the answer before, to the end of the request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest life of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whether the answer is 200 or 503.
    pub good: bool,
    /// Type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Makes the pages. Called on the control thread for each request.
pub trait Pages: Send + Sync + 'static {
    /// `/metrics`.
    fn metrics(&self) -> Page;
    /// `/healthz`.
    fn health(&self) -> Page;
    /// `/status`.
    fn status(&self) -> Page;
}

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, pages: Arc<dyn Pages>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "the metrics listener cannot accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let pages = Arc::clone(&pages);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&*pages, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(socket), service);
            // A peer that breaks off or misbehaves is its own affair.
            let _outcome = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(place);
        });
    }
}

fn answer(pages: &dyn Pages, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let page = match request.uri().path() {
        "/metrics" => Pages::metrics,
        "/healthz" => Pages::health,
        "/status" => Pages::status,
        _ => return plain(StatusCode::NOT_FOUND, "not found; there are /metrics, /healthz and /status\n"),
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let page = page(pages);
    let code = if page.good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond(code, page.content_type, page.body)
}

fn plain(code: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(code, "text/plain; charset=utf-8", text.to_owned())
}

fn respond(code: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}
