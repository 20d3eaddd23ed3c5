//! Dead letters: requests that were rejected or that nobody survived. Their headers say why; who looks at them, tries
//! them again, or lets them be is up to people.

use std::sync::Arc;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::client::{Client, ClientError};
use super::link::Live;
use super::post::{self, Letter, send_on};
use super::queue::{request_properties, text};
use super::settings::Topology;
use super::{topology, wire};
use crate::model::{OrganisationId, RequestId};

const ORGANISATION: &str = "organisation";
const REQUEST: &str = "requestId";
const REASON: &str = "reason";
const ERROR: &str = "error";

/// Why the broker dead-lettered something by itself.
const FIRST_DEATH: &str = "x-first-death-reason";

/// Most bytes of an error that travel in a header.
const MAX_ERROR: usize = 1024;

/// Why a request is filed.
pub(super) struct Death<'a> {
    pub organisation: Option<&'a OrganisationId>,
    pub request: Option<&'a RequestId>,
    pub reason: &'a str,
    pub error: &'a str,
}

/// The properties of a request that is filed: its own, and why.
pub(super) fn properties(own: &BasicProperties, death: &Death<'_>) -> BasicProperties {
    let mut headers = own.headers().clone().unwrap_or_default();
    let mut say = |name: &str, text: &str| {
        headers.insert(name.into(), AMQPValue::LongString(text.into()));
    };
    if let Some(organisation) = death.organisation {
        say(ORGANISATION, organisation.as_str());
    }
    if let Some(request) = death.request {
        say(REQUEST, request.as_str());
    }
    say(REASON, death.reason);
    say(ERROR, &death.error[..death.error.floor_char_boundary(MAX_ERROR)]);
    // Nobody waits for the answer to one that is tried again, and none shall expire among the dead.
    let mut filed = request_properties().with_headers(headers);
    if let Some(id) = own.message_id() {
        filed = filed.with_message_id(id.clone());
    }
    filed
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Names it among the dead letters: a hash of what it is. Two that are the same in every respect share it.
    pub id: String,
    /// Whose it is; none if its routing key names no organisation.
    pub organisation: Option<String>,
    /// Its requestId, if one could be read.
    pub request_id: Option<String>,
    /// Why it is here: `invalid`, `conflict`, `tooLarge`, `organisation`, or the broker's own reason, such as
    /// `delivery_limit`: everybody who took it died.
    pub reason: String,
    /// The first thing that is wrong with it.
    pub error: String,
    /// The routing key under which it came.
    pub routing_key: String,
    /// Its size in bytes.
    pub bytes: usize,
}

impl Client {
    /// The oldest dead letters, at most so many. They stay where they are, in their order.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn dead_letters(&self, most: usize) -> Result<Vec<DeadLetter>, ClientError> {
        let mut found = Vec::new();
        self.look_through(async |_, message| {
            if found.len() < most {
                found.push(describe(message));
            }
            Ok(if found.len() < most { Look::On } else { Look::Done })
        })
        .await?;
        Ok(found)
    }

    /// A dead letter and its text.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if there is none of that id; otherwise when the broker does not answer.
    pub async fn dead_letter(&self, id: &str) -> Result<(DeadLetter, Vec<u8>), ClientError> {
        let mut found = None;
        self.look_through(async |_, message| {
            let letter = describe(message);
            if letter.id != id {
                return Ok(Look::On);
            }
            found = Some((letter, message.delivery.data.clone()));
            Ok(Look::Done)
        })
        .await?;
        found.ok_or(ClientError::NotFound)
    }

    /// Sends a dead letter in again. It leaves the dead letters when the queue of requests has it, so whatever fails
    /// between, it is in one of the two.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if there is none of that id; [`ClientError::Refused`] if its routing key names no
    /// organisation; otherwise when the broker does not answer.
    pub async fn retry_dead_letter(&self, id: &str) -> Result<DeadLetter, ClientError> {
        let mut found = None;
        let requests = self.names().requests();
        self.look_through(async |channel, message| {
            let letter = describe(message);
            if letter.id != id {
                return Ok(Look::On);
            }
            if Topology::organisation_of(&letter.routing_key).is_none() {
                return Err(ClientError::Refused(format!("its routing key is {:?}", letter.routing_key)));
            }
            let (key, body) = (&*letter.routing_key, &*message.delivery.data);
            let properties = wire::part_of(request_properties(), wire::trace(&message.delivery.properties));
            let letter_out = Letter { exchange: &requests, key, must_arrive: true, properties, body };
            send_on(channel, letter_out).await?;
            message.delivery.acker.ack(BasicAckOptions::default()).await.map_err(ClientError::from)?;
            found = Some(letter);
            Ok(Look::Done)
        })
        .await?;
        found.ok_or(ClientError::NotFound)
    }

    /// Lets dead letters go, for ever: those that `wanted` picks. Answers which these were, the oldest first; whoever is
    /// cut off half-way has let some go.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn drop_dead_letters(
        &self,
        mut wanted: impl FnMut(&DeadLetter) -> bool,
    ) -> Result<Vec<DeadLetter>, ClientError> {
        let mut dropped = Vec::new();
        self.look_through(async |_, message| {
            let letter = describe(message);
            if wanted(&letter) {
                message.delivery.acker.ack(BasicAckOptions::default()).await.map_err(ClientError::from)?;
                dropped.push(letter);
            }
            Ok(Look::On)
        })
        .await?;
        Ok(dropped)
    }

    /// Takes dead letters one by one without acknowledging them; at the end the broker puts all back. It puts them
    /// behind others that were put back before, so all are taken, in order that their order stays.
    async fn look_through(
        &self,
        look: impl AsyncFnMut(&Channel, &BasicGetMessage) -> Result<Look, ClientError>,
    ) -> Result<(), ClientError> {
        let live = self.live().await?;
        tokio::select! {
            biased;
            looked = self.look_through_all(&live, look) => looked,
            // The library's answers to what was asked over it may never come.
            () = live.gone.cancelled() => Err(ClientError::Unavailable("the connection was lost".to_owned())),
        }
    }

    async fn look_through_all(
        &self,
        live: &Live,
        mut look: impl AsyncFnMut(&Channel, &BasicGetMessage) -> Result<Look, ClientError>,
    ) -> Result<(), ClientError> {
        let channel = post::open(&live.channel().await?).await?;
        let queue = self.names().dead();
        let mut looked = Ok(Look::On);
        while let Some(message) = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await? {
            if let Ok(Look::On) = looked {
                looked = look(&channel, &message).await;
            }
        }
        topology::close(&channel).await?;
        looked.map(|_| ())
    }
}

enum Look {
    On,
    Done,
}

fn describe(message: &BasicGetMessage) -> DeadLetter {
    let delivery = &message.delivery;
    let none = FieldTable::default();
    let headers = delivery.properties.headers().as_ref().unwrap_or(&none);
    let header = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        Some(AMQPValue::ShortString(text)) => Some(text.to_string()),
        _ => None,
    };
    let key = delivery.routing_key.as_str();
    let organisation = Topology::organisation_of(key).map(|organisation| organisation.to_string());
    let digest = Sha256::new().chain_update(key).chain_update("\n").chain_update(&delivery.data).finalize();
    DeadLetter {
        id: digest[..8].iter().map(|byte| format!("{byte:02x}")).collect(),
        organisation,
        request_id: header(REQUEST),
        reason: header(REASON).or_else(|| header(FIRST_DEATH)).unwrap_or_else(|| "unknown".to_owned()),
        error: header(ERROR).unwrap_or_default(),
        routing_key: key.to_owned(),
        bytes: delivery.data.len(),
    }
}

/// The id a message was given by whoever sent it.
pub(super) fn message_id(properties: &BasicProperties) -> Option<Arc<str>> {
    text(properties.message_id().as_ref()).map(Arc::from)
}
