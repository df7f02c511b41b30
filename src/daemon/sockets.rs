//! All sockets that a server listens on: bound here, or by the service manager.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use super::upgrade::TakeOver;
use crate::admin;
use crate::config::model::{AdminListen, Config};
use crate::listen::{self, BindOptions, TcpOptions};
use crate::tls::{Certificate, Owner};

/// TCP connections answer through so many responders.
pub(super) const TCP_RESPONDERS: usize = 2;
/// What the admin listener's socket is called in its socket unit
/// (`FileDescriptorName=`).
const ADMIN_NAME: &str = "admin";

/// Bound and not yet served. Binding is what needs privilege: it comes before any is
/// given up.
#[derive(Debug)]
pub struct Sockets {
    pub(super) dns: listen::Bound,
    pub(super) admin: Option<admin::Bound>,
    /// Of encrypted transports.
    pub(super) certificate: Option<Arc<Certificate>>,
}

impl Sockets {
    /// Binds what the config asks for, with the sockets of a service manager (each with
    /// its name) where they are for it.
    ///
    /// # Errors
    /// One cannot be bound, or one that was given cannot be used. Nothing stays bound.
    pub fn bind(config: &Config, given: Vec<(String, OwnedFd)>) -> Result<Sockets, StartError> {
        let (admin, dns): (Vec<_>, Vec<_>) =
            given.into_iter().partition(|(name, _)| name == ADMIN_NAME);
        if admin.len() > 1 {
            return Err(StartError::AdminSockets("gives several for the admin listener"));
        }
        let admin = admin.into_iter().next().map(|(_, socket)| socket);
        let options = bind_options(config);
        let listen = &config.server.listen;
        let encrypted = config.tls.listens();
        let given = listen::sort(dns, listen, &encrypted, &options)?;
        let dns = listen::bind_or_take(listen, &options, given.plain)?.with_encrypted(
            &encrypted,
            &options,
            given.encrypted,
        )?;
        let token_file = config.admin.token_file.as_deref();
        let admin = match (&config.admin.listen, admin) {
            (Some(listen), given) => {
                let bound = admin::bind_or_take(listen, token_file, given)?;
                Some(bound.with_tls(config.admin.tls.as_ref())?)
            }
            (None, None) => None,
            (None, Some(_)) => {
                return Err(StartError::AdminSockets(
                    "gives one for the admin listener, which is off: [admin] listen",
                ));
            }
        };
        Ok(Sockets { dns, admin, certificate: certificate(config)? })
    }
}

impl Sockets {
    /// Takes those of a server at work, and binds what it does not have.
    ///
    /// # Errors
    /// One that it does not have cannot be bound.
    pub fn take(config: &Config, from: &mut TakeOver) -> Result<Sockets, StartError> {
        let options = bind_options(config);
        let dns = listen::bind_or_take(&config.server.listen, &options, from.addresses())?
            .with_encrypted(&config.tls.listens(), &options, from.encrypted())?;
        let token_file = config.admin.token_file.as_deref();
        let bind_admin = |listen: &AdminListen| {
            admin::bind_or_take(listen, token_file, from.admin(&listen.to_string()))?
                .with_tls(config.admin.tls.as_ref())
        };
        let admin = config.admin.listen.as_ref().map(bind_admin).transpose()?;
        Ok(Sockets { dns, admin, certificate: certificate(config)? })
    }
}

/// Read with the rights that binding has: its key may be root's alone.
fn certificate(config: &Config) -> Result<Option<Arc<Certificate>>, StartError> {
    let files = config.tls.files.as_ref();
    Ok(files.map(|files| Certificate::read(files, Owner::Dns)).transpose()?)
}

fn bind_options(config: &Config) -> BindOptions {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = usize::from(config.server.workers);
    BindOptions {
        udp_workers: if workers == 0 { cores } else { workers },
        ..BindOptions::default()
    }
}

pub(super) fn tcp_options(config: &Config) -> TcpOptions {
    let server = &config.server;
    let ms = |count: u32| Duration::from_millis(u64::from(count));
    TcpOptions {
        connections_max: server.tcp_connections_max as usize,
        connections_per_client_max: server.tcp_connections_per_client_max as usize,
        idle_timeout: ms(server.tcp_idle_timeout_ms),
        message_timeout: ms(server.tcp_message_timeout_ms),
        write_timeout: ms(server.tcp_write_timeout_ms),
        responders: TCP_RESPONDERS,
        ..TcpOptions::default()
    }
}
