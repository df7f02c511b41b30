//! One check of a zone at one primary: its serial, and the zone if that is newer.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{CheckError, Refresh, state_dir};
use crate::config::model::Remote;
use crate::daemon::publisher::Publisher;
use crate::daemon::zones::exchange::{Conversation, ExchangeError, random_id, source};
use crate::daemon::zones::kept;
use crate::dns::encode::Section;
use crate::dns::message::Message;
use crate::dns::tsig::Key;
use crate::dns::types::{class, is_newer, rtype};
use crate::zone::transfer_in::{self, Bounds, Incoming, Received, TransferError};
use crate::zone::{Record, master};

async fn connect(
    publisher: &Publisher,
    primary: SocketAddr,
) -> Result<Conversation, ExchangeError> {
    let listen = publisher.serving().snapshot.config.server.listen.clone();
    Conversation::connect(source(&listen, primary), primary).await
}

impl Refresh {
    /// Asks one primary; the new serial, or none where there is none.
    pub(super) async fn check(
        &self,
        publisher: &Arc<Publisher>,
        primary: &Remote,
        held: Option<u32>,
    ) -> Result<Option<u32>, CheckError> {
        let key = match &primary.key {
            Some(name) => {
                let serving = publisher.serving();
                Some(serving.snapshot.keys.find(name).cloned().ok_or(CheckError::NoKey)?)
            }
            None => None,
        };
        let key = key.as_ref();
        let mut conversation = connect(publisher, primary.address).await?;
        let offered = self.ask_serial(&mut conversation, key).await?;
        if let Some(held) = held {
            if held == offered {
                return Ok(None);
            }
            if !is_newer(offered, held) {
                return Err(TransferError::GoesBack { held, offered }.into());
            }
        }
        let whole = match held {
            None => self.fetch(&mut conversation, key, None).await?,
            Some(_) => match self.fetch(&mut conversation, key, held).await {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(zone = %self.origin, %error, "IXFR failed, AXFR follows");
                    self.fetch_whole(publisher, primary.address, key).await?
                }
            },
        };
        let records = match whole {
            Received::Current => return Ok(None),
            Received::Whole(records) => records,
            Received::Changes(changes) => match self.changed(publisher, &changes) {
                Ok(records) => records,
                Err(error) => {
                    tracing::debug!(zone = %self.origin, %error, "IXFR does not fit, AXFR follows");
                    match self.fetch_whole(publisher, primary.address, key).await? {
                        Received::Whole(records) => records,
                        _ => return Err(TransferError::Soa.into()),
                    }
                }
            },
        };
        self.offer(publisher, held, records).await.map(Some)
    }

    async fn fetch_whole(
        &self,
        publisher: &Publisher,
        primary: SocketAddr,
        key: Option<&Arc<Key>>,
    ) -> Result<Received, CheckError> {
        let mut conversation = connect(publisher, primary).await?;
        self.fetch(&mut conversation, key, None).await
    }

    /// The serial that a primary has.
    async fn ask_serial(
        &self,
        conversation: &mut Conversation,
        key: Option<&Arc<Key>>,
    ) -> Result<u32, CheckError> {
        conversation.ask(self.question(random_id(), rtype::SOA, None), key).await?;
        let reply = conversation.next().await?;
        let message = Message::parse(&reply).map_err(TransferError::from)?;
        let none = || CheckError::NoSoa(message.rcode());
        if message.rcode() != 0 || !message.is_authoritative() {
            return Err(none());
        }
        for entry in message.entries().map_while(Result::ok) {
            if entry.section == Section::Answer
                && entry.rtype == rtype::SOA
                && entry.owner().is_ok_and(|owner| owner == self.origin)
            {
                let rdata = entry.rdata().map_err(TransferError::from)?;
                let soa = Record { owner: self.origin.clone(), rtype: rtype::SOA, ttl_s: 0, rdata };
                return Ok(transfer_in::serial_of(&soa));
            }
        }
        Err(none())
    }

    /// Transfers: what changed since `held`, or all.
    async fn fetch(
        &self,
        conversation: &mut Conversation,
        key: Option<&Arc<Key>>,
        held: Option<u32>,
    ) -> Result<Received, CheckError> {
        let id = random_id();
        let qtype = if held.is_some() { rtype::IXFR } else { rtype::AXFR };
        conversation.ask(self.question(id, qtype, held), key).await?;
        let mut incoming = Incoming::new(&self.origin, id, held, Bounds::default());
        loop {
            let message = conversation.next().await?;
            if let Some(received) = incoming.take(&message)? {
                return if conversation.is_closed() {
                    Ok(received)
                } else {
                    Err(CheckError::Unsigned)
                };
            }
        }
    }

    /// A question about the zone; for IXFR with the SOA that is held (RFC 1995 3).
    fn question(&self, id: [u8; 2], qtype: u16, held: Option<u32>) -> Vec<u8> {
        let authority = u8::from(held.is_some());
        let mut message = vec![id[0], id[1], 0, 0, 0, 1, 0, 0, 0, authority, 0, 0];
        message.extend_from_slice(self.origin.wire());
        message.extend(qtype.to_be_bytes());
        message.extend(class::IN.to_be_bytes());
        if let Some(serial) = held {
            // Owner as in the question; names are of no matter, the serial is.
            message.extend([
                0xc0,
                0x0c,
                0,
                rtype::SOA as u8,
                0,
                class::IN as u8,
                0,
                0,
                0,
                0,
                0,
                22,
                0,
                0,
            ]);
            message.extend(serial.to_be_bytes());
            message.extend([0; 16]);
        }
        message
    }

    /// What is held, after these changes.
    fn changed(
        &self,
        publisher: &Publisher,
        changes: &[transfer_in::Change],
    ) -> Result<Vec<Record>, TransferError> {
        let serving = publisher.serving();
        let zone = serving.snapshot.config.zones.iter().find(|zone| zone.origin == self.origin);
        let file = zone.and_then(|zone| Some((zone.file.as_ref()?, zone.ttl_s)));
        let held =
            file.and_then(|(file, ttl_s)| master::parse(&file.text, &self.origin, ttl_s).ok());
        transfer_in::apply(held.unwrap_or_default(), changes)
    }

    /// Puts a new zone into force, and then keeps it.
    async fn offer(
        &self,
        publisher: &Arc<Publisher>,
        held: Option<u32>,
        records: Vec<Record>,
    ) -> Result<u32, CheckError> {
        let serial = records.first().map_or(0, transfer_in::serial_of);
        if let Some(held) = held.filter(|&held| !is_newer(serial, held)) {
            return Err(TransferError::GoesBack { held, offered: serial }.into());
        }
        let (origin, publisher) = (self.origin.clone(), Arc::clone(publisher));
        // Compiling and writing take a while, and block.
        let work = tokio::task::spawn_blocking(move || {
            transfer_in::check(&origin, &records)?;
            let text: Arc<[u8]> = master::write(&records).into_bytes().into();
            let state_dir = state_dir(&publisher).ok_or(CheckError::Stopping)?;
            let offered = kept::Offered { origin: origin.clone(), text: Arc::clone(&text) };
            publisher.take_zone(offered).map_err(|refused| CheckError::Refused(refused.report))?;
            // In force already: a disk that is full costs the next start a transfer.
            kept::write(&state_dir, &origin, &text).map_err(CheckError::Kept)
        });
        work.await.unwrap_or(Err(CheckError::Stopping))?;
        Ok(serial)
    }
}
