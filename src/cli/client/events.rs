//! Reading a stream of events.

use std::time::Duration;

use reqwest::{Method, Response};
use tokio::time::timeout;

use super::{Client, ClientError};
use crate::admin::types::Event;

/// The server sends something every 10 s; after so long without, it is gone.
const SILENCE_MAX: Duration = Duration::from_secs(35);
/// A stream lasts as long as it likes.
const STREAM_MAX: Duration = Duration::from_secs(u32::MAX as u64);
/// Most bytes of one event.
const EVENT_LENGTH_MAX: usize = 1 << 20;

/// A stream that is open.
#[derive(Debug)]
pub struct Events {
    client: Client,
    response: Response,
    /// Read, and not yet taken apart.
    buffer: Vec<u8>,
    data: String,
    /// Id of the last event: where another stream would go on.
    last_id: Option<u64>,
}

impl Client {
    /// `GET /api/v1/events`: what happens after the event `after` (0: all that is
    /// kept), or from now on.
    pub async fn events(&self, after: Option<u64>) -> Result<Events, ClientError> {
        let mut url = self.url("/api/v1/events");
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("after", &after.to_string());
        }
        let request = self.http.request(Method::GET, url).timeout(STREAM_MAX);
        let response = self.send(request).await?;
        let (client, data) = (self.clone(), String::new());
        Ok(Events { client, response, buffer: Vec::new(), data, last_id: after })
    }
}

impl Events {
    /// Where another stream would go on.
    pub fn last_id(&self) -> Option<u64> {
        self.last_id
    }

    /// The next event; none: the stream has ended.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if let Some(event) = self.line(&line)? {
                    return Ok(Some(event));
                }
            }
            let chunk = timeout(SILENCE_MAX, self.response.chunk());
            let Ok(chunk) = chunk.await else {
                return Err(ClientError::Silent { server: self.client.server.clone() });
            };
            match chunk.map_err(|error| self.client.failed(&error))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
            if self.buffer.len() + self.data.len() > EVENT_LENGTH_MAX {
                return Err(self.client.strange("its events have no end".to_owned()));
            }
        }
    }

    /// Takes one line; an empty one ends an event (HTML, 9.2.6).
    fn line(&mut self, line: &[u8]) -> Result<Option<Event>, ClientError> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            if data.is_empty() {
                return Ok(None);
            }
            let strange = |error| self.client.strange(format!("its event: {error}"));
            return serde_json::from_str(&data).map(Some).map_err(strange);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.last_id = value.parse().ok().or(self.last_id),
            "data" => self.data.push_str(value),
            // What else there is says nothing to us.
            _ => {}
        }
        Ok(None)
    }
}
