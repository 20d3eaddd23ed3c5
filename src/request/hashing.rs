//! What makes two requests the same: hashes of what they mean, whatever their spelling.
//!
//! The encoding is this module's own and names every field, so that two versions of the program agree on a request that
//! uses nothing new. A field at its default adds nothing.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::destination::Draft;
use crate::model::request::{Hook, MachineDetection, Part, WindowZone};
use crate::model::{CallingWindow, Number, Phone, RequestHeader, RetryPolicy};

use super::header::{DEFAULT_MAX_CALL_DURATION, DEFAULT_PRIORITY, DEFAULT_RING_TIMEOUT};

/// The hash that all parts of one request share: its header without [`RequestHeader::part`].
pub fn header_hash(header: &RequestHeader) -> [u8; 32] {
    let mut fields = Fields::default();
    let RequestHeader {
        organisation,
        id,
        content_hash: _,
        // The same request may be handed in by another.
        trace: _,
        // The flow's own hash stands for it.
        flow: _,
        flow_hash,
        caller,
        recording,
        scheduled_at,
        expires_at,
        ring_timeout,
        max_call_duration,
        retry,
        calling_window,
        machine_detection,
        priority,
        hooks,
        part,
        allow_duplicates,
        skip_invalid,
        parent,
        call_type,
    } = header;
    fields.add("organisation", organisation.as_str());
    fields.add("requestId", id.as_str());
    fields.add("callFlow", flow_hash);
    fields.add_if(caller.map(|caller| caller.to_string()), "caller");
    fields.add_if(recording.then_some("true"), "enableCallRecording");
    fields.add_if(scheduled_at.map(|at| at.as_millis().to_string()), "scheduledAt");
    fields.add_if(expires_at.map(|at| at.as_millis().to_string()), "expiresAt");
    fields.add_seconds(*ring_timeout, DEFAULT_RING_TIMEOUT, "ringTimeoutSecs");
    fields.add_seconds(*max_call_duration, DEFAULT_MAX_CALL_DURATION, "maxCallDurationSecs");
    fields.add_retry(retry);
    fields.add_window(calling_window.as_ref());
    fields.add_if(machine_word(*machine_detection), "machineDetection");
    fields.add_if((*priority != DEFAULT_PRIORITY).then(|| priority.to_string()), "priority");
    for Hook { url, events } in hooks {
        fields.add("hooks.url", &**url);
        events.iter().for_each(|event| fields.add("hooks.events", &**event));
    }
    // How many parts there are is the request's; which one this is, the part's.
    fields.add_if(part.map(|Part { index: _, count }| count.to_string()), "part.count");
    fields.add_if(allow_duplicates.then_some("true"), "allowDuplicates");
    fields.add_if(skip_invalid.then_some("true"), "skipInvalid");
    fields.add_if(parent.map(|call| call.to_string()), "parentId");
    fields.add_if((!call_type.is_campaign()).then_some(call_type.as_str()), "callType");
    Sha256::digest(&fields.bytes).into()
}

const fn machine_word(detection: MachineDetection) -> Option<&'static str> {
    match detection {
        MachineDetection::Off => None,
        MachineDetection::Hangup => Some("hangup"),
        MachineDetection::Continue => Some("continue"),
        MachineDetection::WaitForBeep => Some("waitForBeep"),
    }
}

/// The hash of a whole request, or of one part, from its header and its destinations.
pub(super) fn content_hash(header: &RequestHeader, destinations: DestinationsHash) -> [u8; 32] {
    let part = header.part.map_or(0, |part| part.index);
    let digest = Sha256::new().chain_update(header_hash(header)).chain_update(part.to_le_bytes());
    digest.chain_update(destinations.hasher.finalize()).finalize().into()
}

/// Lengths before contents, so that no two lists of fields have the same bytes.
#[derive(Default)]
struct Fields {
    bytes: Vec<u8>,
}

impl Fields {
    fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        put(&mut self.bytes, name.as_bytes());
        put(&mut self.bytes, value.as_ref());
    }

    fn add_if(&mut self, value: Option<impl AsRef<[u8]>>, name: &str) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn add_seconds(&mut self, length: Duration, default: Duration, name: &str) {
        self.add_if((length != default).then(|| length.as_secs().to_string()), name);
    }

    fn add_retry(&mut self, retry: &RetryPolicy) {
        if *retry == RetryPolicy::default() {
            return;
        }
        let RetryPolicy { max_attempts, on, delays } = retry;
        self.add("retry.maxAttempts", max_attempts.to_string());
        on.iter().for_each(|result| self.add("retry.on", format!("{result:?}")));
        delays.iter().for_each(|delay| self.add("retry.delaySecs", delay.as_secs().to_string()));
    }

    fn add_window(&mut self, window: Option<&CallingWindow>) {
        let Some(CallingWindow { time_zone, days, from_minute, to_minute }) = window else { return };
        let zone = match time_zone {
            WindowZone::Named(name) => name,
            WindowZone::Recipient => "recipient",
        };
        self.add("callingWindow.timeZone", zone);
        self.add("callingWindow.hours", format!("{days} {from_minute} {to_minute}"));
    }
}

/// Writes a length, short for short values, and the value.
fn put(bytes: &mut Vec<u8>, value: &[u8]) {
    let mut length = value.len();
    while length >= 0x80 {
        bytes.push(0x80 | (length & 0x7F) as u8);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(value);
}

/// The hash of the destinations so far, duplicates included, in the order of the request.
#[derive(Default)]
pub(super) struct DestinationsHash {
    hasher: Sha256,
    bytes: Vec<u8>,
    order: Vec<usize>,
}

impl DestinationsHash {
    pub(super) fn add(&mut self, draft: &Draft<'_>) {
        let Draft { number, caller, external_id, time_zone, properties } = draft;
        let Self { hasher, bytes, order } = self;
        bytes.clear();
        let phone = number.phone().map_or(0, Phone::digits);
        bytes.extend_from_slice(&phone.to_le_bytes());
        if let Number::Invalid(text) = number {
            put(bytes, text.as_bytes());
        }
        // Which of the optional fields follow, and how many properties.
        let present = [caller.is_some(), external_id.is_some(), time_zone.is_some()];
        bytes.push(present.iter().fold(0, |bits, present| bits << 1 | u8::from(*present)));
        if let Some(caller) = caller {
            bytes.extend_from_slice(&caller.digits().to_le_bytes());
        }
        for text in [external_id.as_deref(), time_zone.as_deref()].into_iter().flatten() {
            put(bytes, text.as_bytes());
        }
        bytes.extend_from_slice(&(properties.len() as u64).to_le_bytes()[..2]);
        // The order of keys must not matter.
        order.clear();
        order.extend(0..properties.len());
        order.sort_unstable_by(|a, b| properties[*a].0.cmp(&properties[*b].0));
        for (name, value) in order.iter().map(|at| &properties[*at]) {
            put(bytes, name.as_bytes());
            put(bytes, value.as_bytes());
        }
        hasher.update(bytes);
    }
}
