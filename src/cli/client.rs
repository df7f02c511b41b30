//! The client of a running server's admin API, for the commands that operate it.
//!
//! Every failure says what to do about it, because a person reads it. It must
//! not know how the server does what is asked, only `admin::types`.

mod calls;
mod connect;
mod events;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::connect::{authorization, chain, is_here};
pub use self::events::Events;
use crate::admin::problem::{self, Problem};

/// The server when none is named.
pub const SERVER_DEFAULT: &str = "http://127.0.0.1:8053";
/// Environment variable that names one.
pub const SERVER_VARIABLE: &str = "WINDROSE_SERVER";
/// Environment variable that names a file with authorities to trust.
pub const CA_FILE_VARIABLE: &str = "WINDROSE_CA_FILE";
/// Environment variable that names the file with its token.
pub const TOKEN_FILE_VARIABLE: &str = "WINDROSE_TOKEN_FILE";

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole reply; the server gives up on itself after 30 s.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for an upgrade; the server gives it up before that.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(90);
/// Most bytes of a reply.
const REPLY_LENGTH_MAX: usize = 64 << 20;

//------------ Client ---------------------------------------------------------

/// Speaks to one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// As given, for messages.
    server: String,
}

impl Client {
    /// A client of `server`: `http://127.0.0.1:8053`, `https://gtm1.example.net`
    /// or "unix:/run/windrose/admin.sock". Nothing is connected yet.
    pub fn new(server: &str, token_file: Option<&Path>) -> Result<Client, ClientError> {
        Client::trusting(server, token_file, None)
    }

    /// The same, trusting the authorities in `ca_file` as well as the system's.
    pub fn trusting(
        server: &str,
        token_file: Option<&Path>,
        ca_file: Option<&Path>,
    ) -> Result<Client, ClientError> {
        let bad = |reason: &str| ClientError::Server {
            server: server.to_owned(),
            reason: reason.to_owned(),
        };
        if server.contains(',') {
            return Err(bad("this command speaks to one server: name it with --server"));
        }
        let socket = server.strip_prefix("unix:");
        let base = match socket {
            Some(path) if !path.starts_with('/') => {
                return Err(bad("the path of a unix socket begins with /"));
            }
            // The name stands in the Host header; nothing resolves it.
            Some(_) => "http://localhost",
            None => server,
        };
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(bad("it begins with neither http://, https:// nor unix:/"));
        }
        let base = Url::parse(base).map_err(|error| bad(&error.to_string()))?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REPLY_TIMEOUT)
            // A redirect could carry the token to somewhere else.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("windrose/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = token_file {
            builder = builder.default_headers(authorization(path)?);
        }
        if base.scheme() == "http" {
            // Without TLS no roots are loaded: a host without any works too.
            builder = builder.tls_certs_only([]);
        } else if let Some(path) = ca_file {
            builder = builder.tls_certs_merge(connect::authorities(path)?);
        }
        if let Some(path) = socket {
            builder = builder.unix_socket(path);
        }
        if is_here(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| bad(&chain(&error)))?;
        Ok(Client { http, base, server: server.to_owned() })
    }

    /// Gets `path` and reads its JSON.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<T, ClientError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.ask(self.http.request(Method::GET, url)).await
    }

    /// Posts `body` as JSON to `path` and reads its reply.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let request = self.http.request(Method::POST, self.url(path));
        match body {
            Some(body) => self.ask(request.json(body)).await,
            None => self.ask(request).await,
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ClientError> {
        let response = self.send(request).await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.strange(format!("its reply: {error}")))
    }

    /// Sends `request`. What is not a success is an error.
    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let is_problem = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(problem::CONTENT_TYPE.as_bytes()));
        if status.is_success() && !is_problem {
            return Ok(response);
        }
        let body = self.body(response).await?;
        if is_problem && let Ok(problem) = serde_json::from_slice::<Problem>(&body) {
            return Err(match status {
                StatusCode::UNAUTHORIZED => ClientError::Unauthorized {
                    server: self.server.clone(),
                    detail: problem.detail,
                },
                _ => {
                    let problem = Box::new(problem);
                    ClientError::Problem { server: self.server.clone(), problem }
                }
            });
        }
        Err(self.strange(format!("it answered {status}")))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + chunk.len() > REPLY_LENGTH_MAX {
                return Err(self.strange("its reply has no end".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: &reqwest::Error) -> ClientError {
        let server = self.server.clone();
        if let Some(reason) = connect::tls_trouble(error) {
            ClientError::Tls { server, reason }
        } else if error.is_connect() {
            ClientError::Connect { server, reason: chain(error) }
        } else if error.is_timeout() {
            ClientError::Late { server }
        } else {
            self.strange(connect::not_http(error, &self.base))
        }
    }

    fn strange(&self, reason: String) -> ClientError {
        ClientError::Strange { server: self.server.clone(), reason }
    }
}

//------------ ClientError ----------------------------------------------------

/// Why a server did not do what was asked, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a server's address.
    #[error("\"{server}\" is not a server to speak to: {reason}")]
    Server {
        /// As given.
        server: String,
        /// Why not.
        reason: String,
    },
    /// The token cannot be sent.
    #[error("cannot use the token file {}: {reason}", file.display())]
    Token {
        /// As given.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Nobody answers there.
    #[error(
        "no server at {server}: {reason}\n\
         Is it running, with [admin] listen at this address? Name another with --server or \
         {SERVER_VARIABLE}."
    )]
    Connect {
        /// As given.
        server: String,
        /// What the system says.
        reason: String,
    },
    /// The roots to trust cannot be read.
    #[error("cannot use the CA file {}: {reason}", file.display())]
    Authorities {
        /// As given.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Somebody answers there who is not to be trusted, or does not speak TLS.
    #[error("not speaking to {server}: {reason}")]
    Tls {
        /// As given.
        server: String,
        /// What is wrong with its certificate, and what to do.
        reason: String,
    },
    /// It does not take the token, or wants one.
    #[error(
        "{server} refuses access: {detail}\n\
         Name the file with its token: --token-file or {TOKEN_FILE_VARIABLE}."
    )]
    Unauthorized {
        /// As given.
        server: String,
        /// What it says.
        detail: String,
    },
    /// It refused what was asked, and says why.
    #[error("{}", problem_text(server, problem))]
    Problem {
        /// As given.
        server: String,
        /// What it says.
        problem: Box<Problem>,
    },
    /// No answer in time.
    #[error(
        "{server} did not answer within {} s; what was asked may still take effect",
        REPLY_TIMEOUT.as_secs()
    )]
    Late {
        /// As given.
        server: String,
    },
    /// A stream on which nothing comes any more.
    #[error("{server} says nothing any more")]
    Silent {
        /// As given.
        server: String,
    },
    /// Something answers, but not like a Windrose admin listener.
    #[error("{server} does not answer like a Windrose server: {reason}")]
    Strange {
        /// As given.
        server: String,
        /// In which way.
        reason: String,
    },
}

fn problem_text(server: &str, problem: &Problem) -> String {
    let head = format!("{server}: {}: {}", problem.title, problem.detail);
    match &problem.refused {
        Some(refused) => format!("{}\n{head}", refused.report.trim_end()),
        None => head,
    }
}

#[cfg(test)]
mod tests;
