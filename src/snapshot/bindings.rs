//! HTTPS and SVCB records of WIPs, encoded but for the addresses (RFC 9460 2.2).

use crate::config::model::{ServiceBinding, WipSettings};
use crate::dns::types::rtype;
use crate::steer::binding::{Binding, key, parameter_head};

/// The records of a WIP.
pub(super) fn compile(settings: &WipSettings) -> Box<[Binding]> {
    let records = [(rtype::HTTPS, &settings.https), (rtype::SVCB, &settings.svcb)];
    records.into_iter().filter_map(|(rtype, said)| Some(encode(rtype, said.as_ref()?))).collect()
}

fn encode(rtype: u16, said: &ServiceBinding) -> Binding {
    let mut bytes = said.priority.to_be_bytes().to_vec();
    bytes.extend(said.target.wire());
    // Clients of HTTPS must understand these in any case (RFC 9460 9), and what is so
    // automatically is not to be listed (RFC 9460 8).
    let automatic = |number: u16| [key::NO_DEFAULT_ALPN, key::PORT].contains(&number);
    let mandatory =
        said.mandatory.iter().filter(|&&number| rtype != rtype::HTTPS || !automatic(number));
    let mandatory: Vec<u8> = mandatory.flat_map(|number| number.to_be_bytes()).collect();
    if !mandatory.is_empty() {
        push(&mut bytes, key::MANDATORY, &mandatory);
    }
    if !said.alpn.is_empty() {
        let protocol = |name: &String| [&[name.len() as u8], name.as_bytes()].concat();
        let protocols: Vec<u8> = said.alpn.iter().flat_map(protocol).collect();
        push(&mut bytes, key::ALPN, &protocols);
    }
    if said.no_default_alpn {
        push(&mut bytes, key::NO_DEFAULT_ALPN, &[]);
    }
    if let Some(port) = said.port {
        push(&mut bytes, key::PORT, &port.to_be_bytes());
    }
    let mut between = Vec::new();
    if let Some(ech) = &said.ech {
        push(&mut between, key::ECH, ech);
    }
    Binding { rtype, before_hints: bytes.into(), between_hints: between.into(), hints: said.hints }
}

fn push(bytes: &mut Vec<u8>, number: u16, value: &[u8]) {
    bytes.extend(parameter_head(number, value.len()));
    bytes.extend(value);
}
