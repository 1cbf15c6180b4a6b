//! OpenTelemetry logs over HTTP as JSON (OTLP 1.x, `/v1/logs`).
//!
//! Done is an answer of 200. Records that the receiver rejects in a partial success are its decision; sending them again
//! would not change it, so they are counted and told, as the specification asks.

use std::sync::Arc;

use rustls::ClientConfig;
use serde_json::{Value, json};

use super::{SendError, Sink, refused};
use crate::event::{Event, ascii};
use crate::http::{Url, post};

/// Where to.
#[derive(Clone)]
pub struct Otlp {
    /// Address, usually ending in `/v1/logs`.
    pub url: Url,
    /// TLS settings for https.
    pub tls: Option<Arc<ClientConfig>>,
    /// Further headers, for instance for access.
    pub headers: Vec<(String, String)>,
    /// Name of this host.
    pub hostname: String,
}

impl Sink for Otlp {
    fn send(&mut self, batch: &[Event]) -> Result<(), SendError> {
        let body = ascii(&request(batch, &self.hostname).to_string());
        let mut headers = self.headers.clone();
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        let answer = post(&self.url, self.tls.as_ref(), &headers, body.as_bytes())
            .map_err(|error| SendError::Retry(error.to_string()))?;
        if answer.status != 200 {
            return Err(refused(answer.status));
        }
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let rejected = &answer["partialSuccess"]["rejectedLogRecords"];
        let rejected = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
        if rejected > 0 {
            tracing::error!(rejected, "the OTLP receiver refused records of a batch for good");
        }
        Ok(())
    }
}

/// Numbers of OTLP that may not fit into a JSON number are strings.
fn request(batch: &[Event], hostname: &str) -> Value {
    let records: Vec<Value> = batch
        .iter()
        .map(|event| {
            let attributes: Vec<Value> = event
                .fields
                .iter()
                .map(|(key, value)| json!({"key": format!("tidegate.{key}"), "value": any(value)}))
                .collect();
            // OTLP: 9 information, 13 warning, 17 error.
            let (number, text) = match event.severity {
                0..=3 => (17, "ERROR"),
                4 => (13, "WARN"),
                _ => (9, "INFO"),
            };
            json!({
                "timeUnixNano": event.wall_ns.to_string(),
                "observedTimeUnixNano": event.wall_ns.to_string(),
                "severityNumber": number,
                "severityText": text,
                "eventName": event.kind,
                "body": {"stringValue": event.kind},
                "attributes": attributes,
            })
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    json!({"resourceLogs": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "tidegate"}},
            {"key": "service.version", "value": {"stringValue": version}},
            {"key": "host.name", "value": {"stringValue": hostname}},
        ]},
        "scopeLogs": [{"scope": {"name": "tidegate.audit", "version": version}, "logRecords": records}],
    }]})
}

fn any(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(truth) => json!({"boolValue": truth}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(items) => json!({"arrayValue": {"values": items.iter().map(any).collect::<Vec<_>>()}}),
        Value::Object(map) => {
            let values: Vec<Value> = map.iter().map(|(key, value)| json!({"key": key, "value": any(value)})).collect();
            json!({"kvlistValue": {"values": values}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_types() {
        let shown = any(&json!({"a": [1, true, "x"], "b": null}));
        assert_eq!(
            shown,
            json!({"kvlistValue": {"values": [
                {"key": "a", "value": {"arrayValue": {"values": [
                    {"intValue": "1"}, {"boolValue": true}, {"stringValue": "x"}]}}},
                {"key": "b", "value": {}}]}})
        );
    }
}
