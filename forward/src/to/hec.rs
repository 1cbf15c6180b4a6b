//! Splunk HTTP Event Collector. With `acknowledge`, a batch counts when the indexers have it, asked for on the channel of
//! this forwarder; without, when the collector has taken it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{SendError, Sink, refused};
use crate::event::{Event, ascii};
use crate::http::{Url, post};

/// Longest wait for the indexers.
const ACKNOWLEDGED: Duration = Duration::from_secs(60);
/// Between two questions.
const ASK: Duration = Duration::from_millis(500);

/// Where to.
#[derive(Clone)]
pub struct Hec {
    /// Address of the collector, without the services' paths.
    pub url: Url,
    /// TLS settings for https.
    pub tls: Option<Arc<ClientConfig>>,
    /// Token.
    pub token: Zeroizing<String>,
    /// Index; empty for the token's.
    pub index: String,
    /// Wait for the indexers.
    pub acknowledge: bool,
    /// Name of this host.
    pub hostname: String,
    /// Channel, in the form of a GUID.
    pub channel: String,
}

impl Hec {
    fn call(&self, path: &str, body: &str) -> Result<Value, SendError> {
        let url = Url { path: self.url.path.trim_end_matches('/').to_owned() + path, ..self.url.clone() };
        let headers = [
            ("Authorization".to_owned(), format!("Splunk {}", *self.token)),
            ("X-Splunk-Request-Channel".to_owned(), self.channel.clone()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ];
        let answer = post(&url, self.tls.as_ref(), &headers, body.as_bytes())
            .map_err(|error| SendError::Retry(error.to_string()))?;
        if answer.status != 200 {
            return Err(refused(answer.status));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| SendError::Retry("the collector answers without JSON".to_owned()))
    }
}

impl Sink for Hec {
    fn send(&mut self, batch: &[Event]) -> Result<(), SendError> {
        let mut body = String::new();
        for event in batch {
            let nanos = event.wall_ns;
            let mut item = json!({
                "host": self.hostname,
                "source": "tidegate",
                "sourcetype": "tidegate:audit",
                "event": event.fields,
                "fields": {"id": event.id},
            });
            if !self.index.is_empty() {
                item["index"] = json!(self.index);
            }
            // As text: a double cannot hold seconds with nine digits behind the point.
            let item = ascii(&item.to_string());
            let time = format!("{{\"time\":{}.{:09},", nanos / 1_000_000_000, nanos % 1_000_000_000);
            body.push_str(&time);
            body.push_str(item.strip_prefix('{').unwrap_or(&item));
            body.push('\n');
        }
        let answer = self.call("/services/collector/event", &body)?;
        if answer["code"].as_u64() != Some(0) {
            return Err(SendError::Retry(format!("the collector answers code {}", answer["code"])));
        }
        if !self.acknowledge {
            return Ok(());
        }
        let id = answer["ackId"].as_u64();
        let id = id.ok_or_else(|| SendError::Retry("the token has no indexer acknowledgement".to_owned()))?;
        let began = Instant::now();
        while began.elapsed() < ACKNOWLEDGED {
            let answer = self.call("/services/collector/ack", &json!({"acks": [id]}).to_string())?;
            if answer["acks"][id.to_string()] == true {
                return Ok(());
            }
            std::thread::sleep(ASK);
        }
        Err(SendError::Retry("the indexers have not acknowledged the batch".to_owned()))
    }
}
